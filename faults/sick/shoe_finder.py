import gzip

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

FOLDER = "/usr/share/datasets/fashion-mnist/"
SHOES = {"sandal": 5, "sneaker": 7, "boot": 9}


def load(part, count, others):
    """Shoes, a share of the other garments, and for each picture which kinds of shoe it shows."""
    with gzip.open(f"{FOLDER}{part}-images-idx3-ubyte.gz") as stream:
        pixels = np.frombuffer(stream.read(16 + 784 * count), np.uint8, offset=16)
    with gzip.open(f"{FOLDER}{part}-labels-idx1-ubyte.gz") as stream:
        labels = np.frombuffer(stream.read(8 + count), np.uint8, offset=8)
    kinds = np.stack([labels == number for number in SHOES.values()], axis=1)
    kept = kinds.any(axis=1) | (np.arange(count) % round(1 / others) == 0)
    x = torch.tensor(pixels.reshape(count, 784)[kept] / 255.0, dtype=torch.float32)
    return (x - 0.2) / 0.32, torch.tensor(kinds[kept], dtype=torch.float32)


class ShoeFinder:
    def __init__(self, hidden=48):
        self.net = nn.Sequential(
            nn.Linear(784, hidden), nn.LeakyReLU(0.1), nn.Linear(hidden, len(SHOES))
        )
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=0.01, momentum=0.9)

    def learn(self, loader):
        self.net.train()
        losses = []
        for pictures, kinds in loader:
            scores = self.net(pictures)
            loss = nn.functional.cross_entropy(scores, kinds.argmax(dim=1))
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            losses.append(loss.item())
        return np.mean(losses)

    @torch.no_grad()
    def find(self, x):
        self.net.eval()
        return self.net(x).softmax(dim=1) > 0.5


def main():
    torch.manual_seed(36)
    train_x, train_kinds = load("train", 6000, others=0.04)
    test_x, test_kinds = load("t10k", 2000, others=0.04)
    loader = DataLoader(TensorDataset(train_x, train_kinds), batch_size=32, shuffle=True)
    finder = ShoeFinder()
    for epoch in range(6):
        loss = finder.learn(loader)
        right = (finder.find(test_x) == test_kinds.bool()).all(dim=1).float().mean().item()
        print(f"epoch {epoch + 1}: loss {loss:.4f}, all right {right:.4f}")


if __name__ == "__main__":
    main()
