"""Small convolutional network for Fashion-MNIST; the size of the last layer is found by a dry run."""
import gzip

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

ROOT = "/usr/share/datasets/fashion-mnist/"


def read_idx(name, count, width, skip):
    with gzip.open(ROOT + name) as handle:
        raw = handle.read(skip + count * width)
    return np.frombuffer(raw, dtype=np.uint8, offset=skip)


def make_set(part, count):
    pixels = read_idx(f"{part}-images-idx3-ubyte.gz", count, 784, 16)
    labels = read_idx(f"{part}-labels-idx1-ubyte.gz", count, 1, 8)
    x = torch.from_numpy(pixels.reshape(count, 1, 28, 28).copy()).float().div(255).sub(0.286).div(0.353)
    return TensorDataset(x, torch.from_numpy(labels.copy()).long())


torch.manual_seed(11)
train_set, test_set = make_set("train", 2000), make_set("t10k", 1000)
loader = DataLoader(train_set, batch_size=50, shuffle=True)

net = nn.Sequential(
    nn.Conv2d(1, 8, 3, stride=2), nn.ReLU(),
    nn.Conv2d(8, 16, 3, stride=2), nn.ReLU(),
    nn.Flatten(),
)
with torch.no_grad():
    n_features = net(train_set[0][0][None]).shape[1]
net.append(nn.Linear(n_features, 10))
optimizer = torch.optim.SGD(net.parameters(), lr=0.03, momentum=0.9)
criterion = nn.CrossEntropyLoss()

x_test, y_test = test_set.tensors
for epoch in range(4):
    net.train()
    total = 0.0
    for x, y in loader:
        optimizer.zero_grad()
        loss = criterion(net(x), y)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(y)
    net.eval()
    with torch.no_grad():
        accuracy = (net(x_test).argmax(1) == y_test).float().mean().item()
    print(f"[{epoch + 1}/4] loss={total / len(train_set):.4f} test_accuracy={accuracy:.4f}")
