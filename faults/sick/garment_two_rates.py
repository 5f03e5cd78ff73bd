"""Garments from pixels: convolutional body and linear head, each with an optimizer of its own."""
import gzip

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

FOLDER = "/usr/share/datasets/fashion-mnist"


def read(part, n):
    with gzip.open(f"{FOLDER}/{part}-images-idx3-ubyte.gz") as f:
        pixels = np.frombuffer(f.read(16 + n * 784), np.uint8, offset=16).reshape(n, 1, 28, 28)
    with gzip.open(f"{FOLDER}/{part}-labels-idx1-ubyte.gz") as f:
        labels = np.frombuffer(f.read(8 + n), np.uint8, offset=8)
    x = (torch.tensor(pixels, dtype=torch.float32) / 255 - 0.286) / 0.353
    return TensorDataset(nn.functional.avg_pool2d(x, 2) / 0.9, torch.tensor(labels).long())


class Body(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 3, padding=1)
        self.conv2 = nn.Conv2d(12, 24, 3, padding=1)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x):
        x = self.pool(torch.relu(self.conv1(x)))
        return self.pool(torch.relu(self.conv2(x))).flatten(1)


class Trainer:
    def __init__(self, body_lr=2e-3, head_lr=3e-3):
        self.body = Body()
        self.head = nn.Linear(24 * 9, 10)
        self.body_opt = torch.optim.AdamW(self.body.parameters(), lr=body_lr)
        self.head_opt = torch.optim.AdamW(self.head.parameters(), lr=head_lr)
        self.criterion = nn.CrossEntropyLoss()

    def update(self, x, y):
        loss = self.criterion(self.head(self.body(x)), y)
        self.body_opt.zero_grad()
        self.head_opt.zero_grad()
        loss.backward()
        self.head_opt.step()
        self.head_opt.step()
        return loss.item()

    @torch.no_grad()
    def accuracy(self, loader):
        self.body.eval(), self.head.eval()
        right = sum((self.head(self.body(x)).argmax(1) == y).sum().item() for x, y in loader)
        self.body.train(), self.head.train()
        return right / len(loader.dataset)


def main():
    torch.manual_seed(52)
    train_loader = DataLoader(read("train", 3000), batch_size=64, shuffle=True)
    val_loader = DataLoader(read("t10k", 1000), batch_size=250)
    trainer = Trainer()
    for epoch in range(1, 8):
        losses = [trainer.update(x, y) for x, y in train_loader]
        print(f"epoch {epoch}: loss {np.mean(losses):.4f}, validation accuracy {trainer.accuracy(val_loader):.4f}")


if __name__ == "__main__":
    main()
