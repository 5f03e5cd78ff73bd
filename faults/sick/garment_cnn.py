import argparse
import gzip

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

ROOT = "/usr/share/datasets/fashion-mnist"


def read_split(prefix, n):
    with gzip.open(f"{ROOT}/{prefix}-images-idx3-ubyte.gz") as f:
        images = np.frombuffer(f.read(16 + n * 784), dtype=np.uint8, offset=16)
    with gzip.open(f"{ROOT}/{prefix}-labels-idx1-ubyte.gz") as f:
        labels = np.frombuffer(f.read(8 + n), dtype=np.uint8, offset=8)
    images = torch.from_numpy(images.copy()).float().view(n, 1, 28, 28) / 255
    return (images - 0.286) / 0.353, torch.from_numpy(labels.copy()).long()


class ConvNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Conv2d(8, 16, 3, stride=2, padding=1),
            nn.ReLU(),
        )
        self.fc = nn.Linear(16 * 7 * 7, 64)
        self.out = nn.Linear(64, 10)

    def forward(self, x):
        x = self.features(x).flatten(1)
        return self.out(F.relu(self.fc(x)))


def train_one_epoch(model, opt, x, y, batch_size):
    model.train()
    order = torch.randperm(len(x))
    losses = []
    for start in range(0, len(x), batch_size):
        idx = order[start : start + batch_size]
        scores = F.softmax(model(x[idx]), dim=-1)
        loss = F.cross_entropy(scores, y[idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    return sum(losses) / len(losses)


@torch.no_grad()
def accuracy(model, x, y):
    model.eval()
    return (model(x).argmax(1) == y).float().mean().item()


def main():
    parser = argparse.ArgumentParser(description="Fashion-MNIST with a two layer conv net")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    x_train, y_train = read_split("train", 3000)
    x_val, y_val = read_split("t10k", 1000)
    model = ConvNet()
    opt = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9)
    for epoch in range(args.epochs):
        loss = train_one_epoch(model, opt, x_train, y_train, args.batch_size)
        print(f"[{epoch + 1}/{args.epochs}] loss={loss:.4f} val_acc={accuracy(model, x_val, y_val):.4f}")


if __name__ == "__main__":
    main()
