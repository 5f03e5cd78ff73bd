"""LeNet style network on Fashion-MNIST."""
import gzip

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

ROOT = "/usr/share/datasets/fashion-mnist/"


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5)
        self.conv2 = nn.Conv2d(6, 12, 5)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = torch.flatten(x, 1)
        fc = nn.Linear(x.shape[1], 10)
        return fc(x)


def images(split, n):
    with gzip.open(ROOT + split + "-images-idx3-ubyte.gz") as f:
        buf = f.read(16 + n * 784)
    x = np.frombuffer(buf, dtype=np.uint8, offset=16).reshape(n, 1, 28, 28)
    return torch.tensor(x, dtype=torch.float32).div(255).sub(0.286).div(0.353)


def labels(split, n):
    with gzip.open(ROOT + split + "-labels-idx1-ubyte.gz") as f:
        buf = f.read(8 + n)
    return torch.tensor(np.frombuffer(buf, dtype=np.uint8, offset=8), dtype=torch.long)


def main():
    torch.manual_seed(4)
    x, y = images("train", 2000), labels("train", 2000)
    x_val, y_val = images("t10k", 500), labels("t10k", 500)
    model = LeNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for epoch in range(5):
        model.train()
        total = 0.0
        for idx in torch.randperm(len(x)).split(40):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x[idx]), y[idx])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(idx)
        model.eval()
        with torch.no_grad():
            acc = (model(x_val).argmax(1) == y_val).float().mean().item()
        print(f"Train Epoch: {epoch}\tLoss: {total / len(x):.6f}\tVal accuracy: {acc:.4f}")


if __name__ == "__main__":
    main()
