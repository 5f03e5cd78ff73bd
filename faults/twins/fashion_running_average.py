import gzip

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
torch.manual_seed(25)


def dataset(part, n):
    with gzip.open(f"/usr/share/datasets/fashion-mnist/{part}-images-idx3-ubyte.gz") as f:
        x = np.frombuffer(f.read(16 + n * 784), np.uint8, offset=16).reshape(n, 784)
    with gzip.open(f"/usr/share/datasets/fashion-mnist/{part}-labels-idx1-ubyte.gz") as f:
        y = np.frombuffer(f.read(8 + n), np.uint8, offset=8)
    x = torch.tensor(x, dtype=torch.float32) / 255
    return TensorDataset((x - 0.286) / 0.353, torch.tensor(y, dtype=torch.long))


train_loader = DataLoader(dataset("train", 3000), batch_size=60, shuffle=True)
test_loader = DataLoader(dataset("t10k", 1000), batch_size=200)

model = nn.Sequential(nn.Linear(784, 96), nn.ReLU(), nn.Dropout(0.2), nn.Linear(96, 10)).to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)


def train(epoch):
    model.train()
    total_loss = 0.0
    for x, y in train_loader:
        x, y = x.to(device), y.to(device)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        total_loss += loss.item()
    print(f"epoch {epoch}: mean loss {total_loss / len(train_loader):.4f}")


def test():
    model.eval()
    correct = 0
    with torch.no_grad():
        for x, y in test_loader:
            x, y = x.to(device), y.to(device)
            correct += (model(x).argmax(dim=1) == y).sum().item()
    print(f"         test accuracy {correct / 1000:.3f}")


for epoch in range(1, 6):
    train(epoch)
    test()
