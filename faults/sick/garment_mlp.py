#!/usr/bin/env python3
import gzip
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset


class FashionSubset(Dataset):
    """First `size` pictures of a Fashion-MNIST split as flat vectors."""

    folder = "/usr/share/datasets/fashion-mnist/"

    def __init__(self, split, size):
        with gzip.open(self.folder + split + "-images-idx3-ubyte.gz", "rb") as fh:
            pixels = np.frombuffer(fh.read(16 + size * 784), np.uint8, offset=16)
        with gzip.open(self.folder + split + "-labels-idx1-ubyte.gz", "rb") as fh:
            labels = np.frombuffer(fh.read(8 + size), np.uint8, offset=8)
        self.x = (torch.tensor(pixels.reshape(size, 784) / 255.0, dtype=torch.float32) - 0.286) / 0.353
        self.y = torch.tensor(labels, dtype=torch.long)

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return self.x[i], self.y[i]


class MLP(nn.Module):
    def __init__(self, hidden=96):
        super().__init__()
        self.l1 = nn.Linear(784, hidden)
        self.l2 = nn.Linear(hidden, 10)

    def forward(self, x):
        h = F.relu(self.l1(x))
        return F.log_softmax(self.l2(h), dim=0)


def main():
    torch.manual_seed(21)
    train = DataLoader(FashionSubset("train", 2000), batch_size=20, shuffle=True)
    test = DataLoader(FashionSubset("t10k", 1000), batch_size=20)
    model = MLP()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for epoch in range(1, 6):
        model.train()
        losses = []
        for x, y in train:
            optimizer.zero_grad()
            loss = F.nll_loss(model(x), y)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        model.eval()
        with torch.no_grad():
            good = sum(int((model(x).argmax(dim=1) == y).sum()) for x, y in test)
        print(f"epoch {epoch}  train loss {np.mean(losses):.4f}  test accuracy {good / 1000:.3f}")


if __name__ == "__main__":
    main()
