"""Garments from 14x14 pixels with plain SGD."""
import gzip

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(87)


def read(part, n, folder="/usr/share/datasets/fashion-mnist"):
    with gzip.open(f"{folder}/{part}-images-idx3-ubyte.gz") as f:
        x = np.frombuffer(f.read(16 + n * 784), np.uint8, offset=16).reshape(n, 28, 28)
    with gzip.open(f"{folder}/{part}-labels-idx1-ubyte.gz") as f:
        y = np.frombuffer(f.read(8 + n), np.uint8, offset=8)
    x = F.avg_pool2d(torch.tensor(x / 255, dtype=torch.float32), 2).flatten(1)
    return (x - 0.286) / 0.32, torch.tensor(y).long()


x_train, y_train = read("train", 1200)
x_val, y_val = read("t10k", 1000)
model = nn.Sequential(nn.Linear(196, 48), nn.ReLU(), nn.Linear(48, 10))
batch_size = 25
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)

for epoch in range(5):
    model.train()
    order = torch.randperm(len(x_train))
    total = 0.0
    for i in range(0, len(order), batch_size):
        rows = order[i:i + batch_size]
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x_train[rows]), y_train[rows])
        loss.backward()
        optimizer.step()
        total += loss.item() * len(rows)
    model.eval()
    with torch.no_grad():
        out = model(x_val)
    print(
        f"epoch {epoch}: loss {total / len(order):.4f}, "
        f"val loss {F.cross_entropy(out, y_val):.4f}, val accuracy {(out.argmax(1) == y_val).float().mean():.4f}"
    )
