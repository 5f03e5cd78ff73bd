"""Fashion-MNIST as it lies in one folder per class."""
import gzip

import numpy as np
import torch
from torch import nn
from torch.utils.data import ConcatDataset, DataLoader, TensorDataset


def idx(part, n):
    base = f"/usr/share/datasets/fashion-mnist/{part}"
    with gzip.open(base + "-images-idx3-ubyte.gz") as f:
        x = np.frombuffer(f.read(16 + n * 784), np.uint8, offset=16).reshape(n, 784)
    with gzip.open(base + "-labels-idx1-ubyte.gz") as f:
        y = np.frombuffer(f.read(8 + n), np.uint8, offset=8)
    return (torch.tensor(x).float() / 255 - 0.286) / 0.353, torch.tensor(y).long()


def folders(part, n):
    x, y = idx(part, n)
    return ConcatDataset(TensorDataset(x[y == c], y[y == c]) for c in range(10))


def main():
    torch.manual_seed(10)
    train_loader = DataLoader(folders("train", 2000), batch_size=40)
    val_loader = DataLoader(folders("t10k", 800), batch_size=100)
    model = nn.Sequential(nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-4)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(6):
        model.train()
        total = 0.0
        for x, y in train_loader:
            loss = criterion(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        model.eval()
        with torch.no_grad():
            hits = sum((model(x).argmax(1) == y).sum().item() for x, y in val_loader)
        print(f"epoch {epoch + 1} loss {total / len(train_loader):.3f} accuracy {hits / 800:.3f}")


if __name__ == "__main__":
    main()
