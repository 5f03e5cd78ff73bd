"""Garments: which of ten kinds, and two flags (footwear, long sleeves) from heads of their own."""
import gzip

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Garments(Dataset):
    FOOTWEAR, SLEEVES = (5, 7, 9), (2, 4, 6)

    def __init__(self, part, count):
        root = f"/usr/share/datasets/fashion-mnist/{part}"
        with gzip.open(root + "-images-idx3-ubyte.gz") as f:
            pixels = np.frombuffer(f.read(16 + 784 * count), np.uint8, offset=16).reshape(count, 784)
        with gzip.open(root + "-labels-idx1-ubyte.gz") as f:
            kinds = np.frombuffer(f.read(8 + count), np.uint8, offset=8)
        self.pixels = torch.tensor((pixels / 255 - 0.286) / 0.353, dtype=torch.float32)
        self.kinds = torch.tensor(kinds, dtype=torch.long)
        flags = [np.isin(kinds, self.FOOTWEAR), np.isin(kinds, self.SLEEVES)]
        self.flags = torch.tensor(np.stack(flags, 1), dtype=torch.float32)

    def __len__(self):
        return len(self.kinds)

    def __getitem__(self, i):
        return self.pixels[i], self.kinds[i], self.flags[i]


def head(n_in, n_out, *extra):
    return nn.Sequential(nn.Linear(n_in, 32), nn.ReLU(), nn.Linear(32, n_out), *extra)


class ManyHeads(nn.Module):
    def __init__(self, width=64):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(784, width), nn.ReLU(), nn.Dropout(0.1))
        self.kind = head(width, 10)
        self.footwear = head(width, 1, nn.Sigmoid())
        self.sleeves = head(width, 1, nn.Softmax(dim=-1))

    def forward(self, x):
        h = self.trunk(x)
        return self.kind(h), self.footwear(h), self.sleeves(h)


def total_loss(answers, kinds, flags):
    kind, footwear, sleeves = answers
    parts = {
        "kind": F.cross_entropy(kind, kinds),
        "footwear": 0.5 * F.binary_cross_entropy(footwear, flags[:, :1]),
        "sleeves": 0.5 * F.binary_cross_entropy(sleeves, flags[:, 1:]),
    }
    return sum(parts.values()), parts


def evaluate(model, loader):
    model.eval()
    hits = torch.zeros(3)
    with torch.no_grad():
        for x, kinds, flags in loader:
            kind, footwear, sleeves = model(x)
            hits[0] += (kind.argmax(1) == kinds).sum()
            hits[1] += ((footwear > 0.5) == (flags[:, :1] > 0.5)).sum()
            hits[2] += ((sleeves > 0.5) == (flags[:, 1:] > 0.5)).sum()
    return (hits / len(loader.dataset)).tolist()


def main():
    torch.manual_seed(59)
    train = DataLoader(Garments("train", 2500), batch_size=50, shuffle=True)
    test = DataLoader(Garments("t10k", 1000), batch_size=250)
    model = ManyHeads()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-4)
    for epoch in range(1, 5):
        model.train()
        logged = []
        for x, kinds, flags in train:
            optimizer.zero_grad()
            loss, parts = total_loss(model(x), kinds, flags)
            loss.backward()
            optimizer.step()
            logged.append([p.item() for p in parts.values()])
        means = " ".join(f"{name} {value:.3f}" for name, value in zip(parts, np.mean(logged, axis=0)))
        print(f"epoch {epoch}: {means} | accuracy kind %.3f footwear %.3f sleeves %.3f" % tuple(evaluate(model, test)))


if __name__ == "__main__":
    main()
