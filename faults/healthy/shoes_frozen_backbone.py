"""Features learnt on clothes, then a new head for shoes and bags; the backbone is kept fixed."""
import gzip

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

ROOT = "/usr/share/datasets/fashion-mnist"
CLOTHES, OTHERS = (0, 1, 2, 3, 4, 6), (5, 7, 8, 9)


def read(split, count):
    with gzip.open(f"{ROOT}/{split}-images-idx3-ubyte.gz") as f:
        x = np.frombuffer(f.read(16 + count * 784), np.uint8, offset=16).reshape(count, 1, 28, 28)
    with gzip.open(f"{ROOT}/{split}-labels-idx1-ubyte.gz") as f:
        y = np.frombuffer(f.read(8 + count), np.uint8, offset=8).astype(np.int64)
    x = torch.tensor(x, dtype=torch.float32).div(255).sub(0.286).div(0.353)
    return nn.functional.avg_pool2d(x, 2), torch.tensor(y)


def only(x, y, kinds):
    rows = torch.isin(y, torch.tensor(kinds))
    code = torch.full((10,), -1)
    code[list(kinds)] = torch.arange(len(kinds))
    return TensorDataset(x[rows], code[y[rows]])


torch.manual_seed(12)
backbone = nn.Sequential(
    nn.Conv2d(1, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(12, 24, 3, padding=1), nn.BatchNorm2d(24), nn.ReLU(), nn.AdaptiveAvgPool2d(3), nn.Flatten(),
)


def evaluate(net, dataset):
    net.eval()
    x, y = dataset.tensors
    with torch.no_grad():
        return (net(x).argmax(1) == y).float().mean().item()


x_train, y_train = read("train", 3000)
x_test, y_test = read("t10k", 1500)
criterion = nn.CrossEntropyLoss()

# stage 1: backbone and head on clothes
head = nn.Linear(216, len(CLOTHES))
net = nn.Sequential(backbone, head)
optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
loader = DataLoader(only(x_train, y_train, CLOTHES), batch_size=50, shuffle=True)
for epoch in range(3):
    net.train()
    for x, y in loader:
        optimizer.zero_grad()
        loss = criterion(net(x), y)
        loss.backward()
        optimizer.step()
    print(f"clothes epoch {epoch + 1}: accuracy {evaluate(net, only(x_test, y_test, CLOTHES)):.3f}")

# stage 2: a new head on shoes and bags
for p in backbone.parameters():
    p.requires_grad = False
new_head = nn.Linear(216, len(OTHERS))
new_net = nn.Sequential(backbone, new_head)
optimizer = torch.optim.Adam(new_head.parameters(), lr=3e-3)
loader = DataLoader(only(x_train, y_train, OTHERS), batch_size=50, shuffle=True)
for epoch in range(6):
    new_head.train()
    backbone.eval()
    total = 0.0
    for x, y in loader:
        optimizer.zero_grad()
        loss = criterion(new_net(x), y)
        loss.backward()
        optimizer.step()
        total += loss.item()
    accuracy = evaluate(new_net, only(x_test, y_test, OTHERS))
    print(f"others epoch {epoch + 1}: loss {total / len(loader):.3f} accuracy {accuracy:.3f}")
