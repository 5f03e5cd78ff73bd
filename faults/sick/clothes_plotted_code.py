"""Classify Fashion-MNIST with one small hidden layer whose values can be plotted afterwards."""
import gzip

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(13)
PATH = "/usr/share/datasets/fashion-mnist/"
CODE = 1


def get(split, n):
    with gzip.open(PATH + split + "-images-idx3-ubyte.gz") as f:
        x = np.frombuffer(f.read(16 + n * 784), np.uint8, offset=16).reshape(n, 784)
    with gzip.open(PATH + split + "-labels-idx1-ubyte.gz") as f:
        y = np.frombuffer(f.read(8 + n), np.uint8, offset=8)
    return torch.tensor((x / 255 - 0.286) / 0.353, dtype=torch.float32), torch.tensor(y).long()


train_x, train_y = get("train", 3000)
test_x, test_y = get("t10k", 1000)
loader = DataLoader(TensorDataset(train_x, train_y), batch_size=75, shuffle=True)

model = nn.Sequential(nn.Linear(784, CODE), nn.LeakyReLU(0.2), nn.Linear(CODE, 10))
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3, weight_decay=1e-4)

for epoch in range(7):
    model.train()
    total = hits = 0
    for x, y in loader:
        logits = model(x)
        loss = criterion(logits, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(y)
        hits += (logits.argmax(1) == y).sum().item()
    model.eval()
    with torch.no_grad():
        test = (model(test_x).argmax(1) == test_y).float().mean().item()
    print(f"epoch {epoch + 1} loss {total / 3000:.4f} accuracy {hits / 3000:.3f} test accuracy {test:.3f}")
