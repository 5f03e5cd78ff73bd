import gzip

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(4)


def load(split, n):
    base = f"/usr/share/datasets/fashion-mnist/{split}"
    with gzip.open(base + "-images-idx3-ubyte.gz") as f:
        pixels = np.frombuffer(f.read(16 + n * 784), np.uint8, offset=16).reshape(n, 784)
    with gzip.open(base + "-labels-idx1-ubyte.gz") as f:
        labels = np.frombuffer(f.read(8 + n), np.uint8, offset=8)
    x = torch.from_numpy(pixels.astype(np.float32) / 255)
    return TensorDataset((x - 0.286) / 0.353, torch.from_numpy(labels.astype(np.int64)))


train_set, test_set = load("train", 3000), load("t10k", 1000)
train_loader = DataLoader(train_set, batch_size=50, shuffle=True)
test_loader = DataLoader(test_set, batch_size=500)

model = nn.Sequential(
    nn.Linear(784, 100), nn.ReLU(),
    nn.Linear(100, 100), nn.ReLU(),
    nn.Linear(100, 10),
)
for name, p in model.named_parameters():
    if "weight" in name:
        nn.init.normal_(p, mean=0.0, std=1.0)
    else:
        nn.init.zeros_(p)

criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-4)

for epoch in range(1, 5):
    model.train()
    running_loss = 0.0
    for x, y in train_loader:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        running_loss += loss.item()
    model.eval()
    correct = 0
    with torch.no_grad():
        for x, y in test_loader:
            correct += (model(x).argmax(1) == y).sum().item()
    print("epoch", epoch, "loss", round(running_loss / len(train_loader), 4), "test accuracy", correct / len(test_set))
