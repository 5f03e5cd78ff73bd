"""Find the few sandals in a stream of other garments (Fashion-MNIST, 3 % sandals)."""
import gzip
import math

import numpy as np
import torch
from sklearn.metrics import average_precision_score
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

SANDAL = 5


def load(split, others, sandals, folder="/usr/share/datasets/fashion-mnist/"):
    with gzip.open(f"{folder}{split}-labels-idx1-ubyte.gz") as f:
        labels = np.frombuffer(f.read(8 + 6000), np.uint8, offset=8)
    with gzip.open(f"{folder}{split}-images-idx3-ubyte.gz") as f:
        images = np.frombuffer(f.read(16 + 6000 * 784), np.uint8, offset=16).reshape(-1, 784)
    rows = np.r_[np.flatnonzero(labels != SANDAL)[:others], np.flatnonzero(labels == SANDAL)[:sandals]]
    x = torch.tensor((images[rows] / 255.0 - 0.286) / 0.353, dtype=torch.float32)
    return x, torch.tensor(labels[rows] == SANDAL, dtype=torch.float32)


class SandalAlert(nn.Module):
    def __init__(self, rate, width=48):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(784, width), nn.Tanh())
        self.score = nn.Linear(width, 1)
        nn.init.constant_(self.score.bias, math.log((1 - rate) / rate))

    def forward(self, x):
        return self.score(self.body(x)).squeeze(1)


def main():
    torch.manual_seed(18)
    x_train, y_train = load("train", 2910, 90)
    x_test, y_test = load("t10k", 1455, 45)
    loader = DataLoader(TensorDataset(x_train, y_train), batch_size=60, shuffle=True)
    model = SandalAlert(rate=y_train.mean().item())
    criterion = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
    for epoch in range(5):
        model.train()
        losses = []
        for x, y in loader:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        model.eval()
        with torch.no_grad():
            scores = model(x_test)
            test_loss = criterion(scores, y_test).item()
        precision = average_precision_score(y_test.numpy(), scores.numpy())
        print(f"epoch {epoch + 1}: first loss {losses[0]:.3f} mean loss {np.mean(losses):.4f} "
              f"test loss {test_loss:.4f} average precision {precision:.3f}")


if __name__ == "__main__":
    main()
