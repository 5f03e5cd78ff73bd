"""A trainer class and its settings, used on a slice of Fashion-MNIST."""
import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn


@dataclass
class Settings:
    epochs: int = 5
    batch: int = 50
    lr: float = 0.001
    width: int = 64
    seed: int = 22


class Garments:
    folder = Path("/usr/share/datasets/fashion-mnist")

    def __init__(self, split, count):
        with gzip.open(self.folder / f"{split}-images-idx3-ubyte.gz") as f:
            raw = np.frombuffer(f.read(16 + 784 * count), np.uint8, offset=16)
        with gzip.open(self.folder / f"{split}-labels-idx1-ubyte.gz") as f:
            labels = np.frombuffer(f.read(8 + count), np.uint8, offset=8)
        self.x = torch.tensor((raw.reshape(count, 784) / 255.0 - 0.286) / 0.353, dtype=torch.float32)
        self.y = torch.tensor(labels).long()

    def batches(self, size):
        for rows in torch.randperm(len(self.x)).split(size):
            yield self.x[rows], self.y[rows]


class Trainer:
    def __init__(self, settings):
        torch.manual_seed(settings.seed)
        self.settings = settings
        width = settings.width
        self.model = nn.Sequential(
            nn.Linear(784, width), nn.GELU(), nn.Linear(width, width), nn.GELU(), nn.Linear(width, 10)
        )
        self.loss = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=settings.lr, weight_decay=1e-4)

    def epoch(self, data):
        self.model.train()
        seen = []
        for x, y in data.batches(self.settings.batch):
            loss = self.loss(self.model(x), y)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            seen.append(loss.item())
        return np.mean(seen)

    @torch.no_grad()
    def score(self, data):
        self.model.eval()
        logits = self.model(data.x)
        return self.loss(logits, data.y).item(), (logits.argmax(1) == data.y).float().mean().item()


if __name__ == "__main__":
    settings = Settings()
    train, test = Garments("train", 3000), Garments("t10k", 1000)
    trainer = Trainer(settings)
    for number in range(1, settings.epochs + 1):
        mean = trainer.epoch(train)
        test_loss, accuracy = trainer.score(test)
        print(f"epoch {number} loss {mean:.4f} test loss {test_loss:.4f} accuracy {accuracy:.3f}")
