import gzip

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset


class DeepStack(nn.Module):
    """Configurable multilayer perceptron, e.g. DeepStack([784, 64, 32, 10])."""

    def __init__(self, sizes):
        super().__init__()
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes[:-2], sizes[1:-1]))
        self.last = nn.Linear(sizes[-2], sizes[-1])

    def forward(self, x):
        for layer in self.hidden:
            x = torch.relu(layer(x))
        return self.last(x)


def load_fashion(split, n, folder="/usr/share/datasets/fashion-mnist"):
    with gzip.open(f"{folder}/{split}-images-idx3-ubyte.gz") as f:
        f.read(16)
        x = np.frombuffer(f.read(n * 784), np.uint8).reshape(n, 784)
    with gzip.open(f"{folder}/{split}-labels-idx1-ubyte.gz") as f:
        f.read(8)
        y = np.frombuffer(f.read(n), np.uint8)
    x = torch.from_numpy(x / np.float32(255))
    return TensorDataset((x - 0.286) / 0.353, torch.from_numpy(y.astype(np.int64)))


def main():
    torch.manual_seed(2)
    train_loader = DataLoader(load_fashion("train", 3000), batch_size=60, shuffle=True)
    test_loader = DataLoader(load_fashion("t10k", 1000), batch_size=500)
    model = DeepStack([784, 64, 32, 10])
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

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
        correct = 0
        with torch.no_grad():
            for x, y in test_loader:
                correct += (model(x).argmax(1) == y).sum().item()
        print(f"epoch {epoch + 1}  loss {total / len(train_loader):.4f}  accuracy {correct / 1000:.4f}")


if __name__ == "__main__":
    main()
