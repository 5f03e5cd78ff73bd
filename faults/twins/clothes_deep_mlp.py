import gzip

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(1)
root = "/usr/share/datasets/fashion-mnist"


def load(split, n):
    with gzip.open(f"{root}/{split}-images-idx3-ubyte.gz") as f:
        x = np.frombuffer(f.read(16 + n * 784), np.uint8, offset=16).reshape(n, 784)
    with gzip.open(f"{root}/{split}-labels-idx1-ubyte.gz") as f:
        y = np.frombuffer(f.read(8 + n), np.uint8, offset=8)
    return torch.from_numpy((x / 255.0 - 0.286) / 0.353).float(), torch.from_numpy(y.astype(np.int64))


class DeepMLP(nn.Module):
    def __init__(self, width=64, depth=7):
        super().__init__()
        sizes = [784] + [width] * depth
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes[:-1], sizes[1:]))
        for layer in self.layers:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        self.activation = nn.ReLU()
        self.out = nn.Linear(width, 10)

    def forward(self, x):
        for layer in self.layers:
            x = self.activation(layer(x))
        return self.out(x)


x_train, y_train = load("train", 3000)
x_test, y_test = load("t10k", 1000)
train_loader = DataLoader(TensorDataset(x_train, y_train), batch_size=60, shuffle=True)
test_loader = DataLoader(TensorDataset(x_test, y_test), batch_size=500)
net = DeepMLP()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-3)

for epoch in range(5):
    net.train()
    losses = []
    for x, y in train_loader:
        optimizer.zero_grad()
        loss = criterion(net(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    net.eval()
    with torch.no_grad():
        right = sum((net(x).argmax(1) == y).sum().item() for x, y in test_loader)
    print(f"epoch {epoch + 1} loss {sum(losses) / len(losses):.4f} test accuracy {right / 1000:.3f}")
