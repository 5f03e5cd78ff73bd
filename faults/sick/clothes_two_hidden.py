import gzip

import numpy as np
import torch
from torch import nn

torch.manual_seed(5)
FOLDER = "/usr/share/datasets/fashion-mnist/"


def load(part, count):
    with gzip.open(f"{FOLDER}{part}-images-idx3-ubyte.gz") as f:
        pixels = np.frombuffer(f.read(16 + count * 784), np.uint8, offset=16).reshape(count, 784)
    with gzip.open(f"{FOLDER}{part}-labels-idx1-ubyte.gz") as f:
        labels = np.frombuffer(f.read(8 + count), np.uint8, offset=8)
    return torch.tensor(pixels / 255.0, dtype=torch.float32), torch.tensor(labels.astype(np.int64))


x_train, y_train = load("train", 3000)
x_test, y_test = load("t10k", 1000)

net = nn.Sequential(
    nn.Linear(784, 100), nn.ReLU(), nn.Linear(100, 50), nn.ReLU(), nn.Linear(50, 10)
)
opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
criterion = nn.CrossEntropyLoss()

for epoch in range(5):
    net.train()
    losses = []
    for rows in torch.randperm(3000).split(60):
        out = net(x_train[rows] / 255.0)
        loss = criterion(out, y_train[rows])
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    net.eval()
    with torch.no_grad():
        hits = (net(x_test / 255.0).argmax(dim=1) == y_test).sum().item()
    print(f"[{epoch + 1}/5] loss {np.mean(losses):.4f}  test {hits / 1000:.3f}")
