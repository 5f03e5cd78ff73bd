"""Convolutions learn slowly with momentum, the classifier quickly with Adam: an optimizer for each part."""
import gzip

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def load(split, rows, path="/usr/share/datasets/fashion-mnist"):
    with gzip.open(f"{path}/{split}-images-idx3-ubyte.gz") as f:
        x = np.frombuffer(f.read(16 + 784 * rows), np.uint8, offset=16).reshape(rows, 1, 28, 28)
    with gzip.open(f"{path}/{split}-labels-idx1-ubyte.gz") as f:
        y = np.frombuffer(f.read(8 + rows), np.uint8, offset=8)
    x = nn.functional.avg_pool2d(torch.tensor(x, dtype=torch.float32) / 255, 2)
    return TensorDataset((x - 0.286) / 0.32, torch.tensor(y, dtype=torch.long))


class Parts(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 12, 3, padding=1), nn.ReLU(),
            nn.AdaptiveAvgPool2d(2), nn.Flatten(),
        )
        self.head = nn.Linear(48, 10)

    def forward(self, x):
        return self.head(self.body(x))


class Teacher:
    def __init__(self, model):
        self.model = model
        self.slow = torch.optim.SGD(model.body.parameters(), lr=0.05, momentum=0.9)
        self.fast = torch.optim.Adam(model.head.parameters(), lr=5e-3)
        self.criterion = nn.CrossEntropyLoss()

    def clear(self):
        for optimizer in (self.slow, self.fast):
            optimizer.zero_grad()

    def move(self, *optimizers):
        nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
        for optimizer in optimizers:
            optimizer.step()

    def epoch(self, loader):
        self.model.train()
        seen, summed = 0, 0.0
        for x, y in loader:
            self.clear()
            loss = self.criterion(self.model(x), y)
            loss.backward()
            self.move(self.slow, self.fast)
            seen, summed = seen + len(y), summed + loss.item() * len(y)
        return summed / seen

    def accuracy(self, loader):
        self.model.eval()
        with torch.no_grad():
            return sum((self.model(x).argmax(1) == y).sum().item() for x, y in loader) / len(loader.dataset)


if __name__ == "__main__":
    torch.manual_seed(72)
    train = DataLoader(load("train", 2400), batch_size=40, shuffle=True)
    test = DataLoader(load("t10k", 1000), batch_size=500)
    teacher = Teacher(Parts())
    for number in range(1, 6):
        print(f"epoch {number}: loss {teacher.epoch(train):.4f} test accuracy {teacher.accuracy(test):.4f}")
