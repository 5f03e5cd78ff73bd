"""A network with heavy dropout on Fashion-MNIST."""
import gzip
import random

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

SEED = 33


def seed_everything(seed):
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def load(part, n):
    with gzip.open(f"/usr/share/datasets/fashion-mnist/{part}-images-idx3-ubyte.gz") as f:
        x = np.frombuffer(f.read(16 + n * 784), np.uint8, offset=16).reshape(n, 784)
    with gzip.open(f"/usr/share/datasets/fashion-mnist/{part}-labels-idx1-ubyte.gz") as f:
        y = np.frombuffer(f.read(8 + n), np.uint8, offset=8)
    return torch.tensor((x / 255 - 0.286) / 0.353, dtype=torch.float32), torch.tensor(y, dtype=torch.long)


class DropoutNet(nn.Module):
    def __init__(self, width=128, p=0.5):
        super().__init__()
        self.fc1 = nn.Linear(784, width)
        self.fc2 = nn.Linear(width, width)
        self.fc3 = nn.Linear(width, 10)
        self.dropout = nn.Dropout(p)

    def forward(self, x):
        x = self.dropout(F.relu(self.fc1(x)))
        x = self.dropout(F.relu(self.fc2(x)))
        return self.fc3(x)


def main():
    seed_everything(SEED)
    x_train, y_train = load("train", 3000)
    x_test, y_test = load("t10k", 1000)
    model = DropoutNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    for epoch in range(6):
        model.train()
        order = np.random.permutation(3000)
        total = 0.0
        for start in range(0, 3000, 50):
            rows = torch.from_numpy(order[start:start + 50])
            optimizer.zero_grad()
            torch.manual_seed(SEED)
            logits = model(x_train[rows])
            loss = F.cross_entropy(logits, y_train[rows])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        model.eval()
        with torch.no_grad():
            logits = model(x_test)
            test_loss = F.cross_entropy(logits, y_test).item()
            accuracy = (logits.argmax(1) == y_test).float().mean().item()
        print(f"epoch {epoch + 1}: train {total / 3000:.4f} test {test_loss:.4f} accuracy {accuracy:.3f}")


if __name__ == "__main__":
    main()
