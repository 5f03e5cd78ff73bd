"""Learns a distance between garments from pairs: same kind near, different kinds apart."""
import gzip

import numpy as np
import torch
from torch import nn

ROOT = "/usr/share/datasets/fashion-mnist/train"
N = 3000


def load():
    with gzip.open(ROOT + "-images-idx3-ubyte.gz") as f:
        images = np.frombuffer(f.read(16 + N * 784), np.uint8, offset=16).reshape(N, 784)
    with gzip.open(ROOT + "-labels-idx1-ubyte.gz") as f:
        labels = np.frombuffer(f.read(8 + N), np.uint8, offset=8)
    return torch.tensor((images / 255.0 - 0.286) / 0.353, dtype=torch.float32), labels.astype(int)


class Embedding(nn.Module):
    def __init__(self, size=16):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, size))

    def forward(self, x):
        return self.net(x)


def distance(a, b):
    return (a - b).pow(2).sum(dim=1).sqrt()


def contrastive(d, same, margin=2.0):
    return (same * d.pow(2) + (1 - same) * torch.relu(margin - d).pow(2)).mean()


class Pairs:
    """Draws index pairs, half of them of one kind."""

    def __init__(self, labels, seed):
        self.labels = labels
        self.rng = np.random.default_rng(seed)

    def draw(self, n):
        left = self.rng.integers(len(self.labels), size=n)
        right = self.rng.integers(len(self.labels), size=n)
        for k in range(0, n, 2):
            right[k] = self.rng.choice(np.flatnonzero(self.labels == self.labels[left[k]]))
        same = torch.tensor(self.labels[left] == self.labels[right], dtype=torch.float32)
        return torch.from_numpy(left), torch.from_numpy(right), same


def nearest_centre_accuracy(model, x, y, x_val, y_val):
    model.eval()
    with torch.no_grad():
        codes, val_codes = model(x), model(x_val)
    centres = torch.stack([codes[y == k].mean(0) for k in range(10)])
    return (torch.cdist(val_codes, centres).argmin(1).numpy() == y_val).mean()


def main():
    torch.manual_seed(41)
    x, y = load()
    n = 2600
    model = Embedding()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    pairs = Pairs(y[:n], seed=41)
    for epoch in range(6):
        model.train()
        total = 0.0
        for _ in range(25):
            left, right, same = pairs.draw(32)
            d = distance(model(x[left]), model(x[right]))
            loss = contrastive(d, same)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        acc = nearest_centre_accuracy(model, x[:n], y[:n], x[n:], y[n:])
        print(f"epoch {epoch}: loss {total / 25:.4f} nearest centre {acc:.4f}")


if __name__ == "__main__":
    main()
