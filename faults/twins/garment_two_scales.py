"""Garments from two views of a picture: its middle in full detail, and the whole of it coarsely."""
import gzip
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


@dataclass
class Config:
    root: str = "/usr/share/datasets/fashion-mnist"
    train_rows: int = 2500
    test_rows: int = 1000
    width: int = 32
    batch: int = 50
    epochs: int = 5
    lr: float = 2e-3
    seed: int = 51


def read(cfg, split, rows):
    with gzip.open(f"{cfg.root}/{split}-images-idx3-ubyte.gz") as f:
        x = np.frombuffer(f.read(16 + rows * 784), np.uint8, offset=16).reshape(rows, 1, 28, 28)
    with gzip.open(f"{cfg.root}/{split}-labels-idx1-ubyte.gz") as f:
        y = np.frombuffer(f.read(8 + rows), np.uint8, offset=8)
    return (torch.tensor(x, dtype=torch.float32) / 255 - 0.286) / 0.353, torch.tensor(y, dtype=torch.long)


class Branch(nn.Module):
    def __init__(self, pixels, width):
        super().__init__()
        self.fc1 = nn.Linear(pixels, 2 * width)
        self.fc2 = nn.Linear(2 * width, width)

    def forward(self, x):
        return F.relu(self.fc2(F.relu(self.fc1(x.flatten(1)))))


class TwoScales(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.detail = Branch(14 * 14, cfg.width)
        self.overview = Branch(7 * 7, cfg.width)
        self.mix = nn.Linear(2 * cfg.width, cfg.width)
        self.out = nn.Linear(cfg.width, 10)

    @staticmethod
    def views(x):
        return x[:, :, 7:21, 7:21], F.avg_pool2d(x, 4)

    def forward(self, x):
        middle, whole = self.views(x)
        near, far = self.detail(middle), self.overview(whole)
        joined = torch.cat([near, far], dim=1)
        return self.out(F.relu(self.mix(joined)))


class Run:
    def __init__(self, cfg):
        self.cfg = cfg
        torch.manual_seed(cfg.seed)
        self.x, self.y = read(cfg, "train", cfg.train_rows)
        self.x_test, self.y_test = read(cfg, "t10k", cfg.test_rows)
        self.net = TwoScales(cfg)
        self.optimizer = torch.optim.AdamW(self.net.parameters(), lr=cfg.lr, weight_decay=0.02)

    def epoch(self):
        self.net.train()
        losses = []
        for rows in torch.randperm(len(self.x)).split(self.cfg.batch):
            self.optimizer.zero_grad(set_to_none=True)
            loss = F.cross_entropy(self.net(self.x[rows]), self.y[rows])
            loss.backward()
            self.optimizer.step()
            losses.append(loss.item())
        return sum(losses) / len(losses)

    @torch.no_grad()
    def score(self):
        self.net.eval()
        return (self.net(self.x_test).argmax(1) == self.y_test).float().mean().item()


if __name__ == "__main__":
    run = Run(Config())
    for number in range(run.cfg.epochs):
        print(f"epoch {number + 1}: loss {run.epoch():.4f} test accuracy {run.score():.4f}")
