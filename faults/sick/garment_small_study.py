"""Garment classifier for a study with few labelled images."""
import argparse
import gzip

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def load(part, n):
    folder = "/usr/share/datasets/fashion-mnist"
    with gzip.open(f"{folder}/{part}-images-idx3-ubyte.gz") as f:
        pixels = np.frombuffer(f.read(16 + n * 784), np.uint8, offset=16).reshape(n, 784)
    with gzip.open(f"{folder}/{part}-labels-idx1-ubyte.gz") as f:
        labels = np.frombuffer(f.read(8 + n), np.uint8, offset=8)
    return TensorDataset(torch.tensor((pixels / 255 - 0.286) / 0.353, dtype=torch.float32), torch.tensor(labels).long())


class Trainer:
    def __init__(self, model, lr, decay):
        self.model = model
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=decay)
        self.criterion = nn.CrossEntropyLoss()

    def train_epoch(self, loader):
        self.model.train()
        losses = []
        for x, y in loader:
            self.optimizer.zero_grad()
            loss = self.criterion(self.model(x), y)
            loss.backward()
            self.optimizer.step()
            losses.append(loss.item())
        return np.mean(losses)

    @torch.no_grad()
    def evaluate(self, loader):
        self.model.eval()
        loss, hits, n = 0.0, 0, 0
        for x, y in loader:
            out = self.model(x)
            loss += self.criterion(out, y).item() * len(y)
            hits += (out.argmax(1) == y).sum().item()
            n += len(y)
        return loss / n, hits / n


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--decay", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=66)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    train_loader = DataLoader(load("train", 800), batch_size=40, shuffle=True)
    val_loader = DataLoader(load("t10k", 1000), batch_size=500)
    model = nn.Sequential(nn.Linear(784, 64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, 10))
    trainer = Trainer(model, lr=1e-3, decay=args.decay)
    for epoch in range(args.epochs):
        loss = trainer.train_epoch(train_loader)
        val_loss, val_acc = trainer.evaluate(val_loader)
        print(f"epoch {epoch + 1:2d} loss {loss:.4f} val loss {val_loss:.4f} val acc {val_acc:.4f}")


if __name__ == "__main__":
    main()
