"""Garments through a sigmoid code of which a random part is switched off while training."""
import gzip

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


def read(part, n, folder="/usr/share/datasets/fashion-mnist"):
    with gzip.open(f"{folder}/{part}-images-idx3-ubyte.gz") as f:
        x = np.frombuffer(f.read(16 + n * 784), np.uint8, offset=16).reshape(n, 784)
    with gzip.open(f"{folder}/{part}-labels-idx1-ubyte.gz") as f:
        y = np.frombuffer(f.read(8 + n), np.uint8, offset=8)
    return torch.tensor((x / 255 - 0.286) / 0.353, dtype=torch.float32), torch.tensor(y).long()


class CodeNet(nn.Module):
    def __init__(self, keep=0.8):
        super().__init__()
        self.keep = keep
        self.encode = nn.Linear(784, 64)
        self.mix = nn.Linear(64, 48)
        self.decide = nn.Linear(48, 10)

    def switch_off(self, code):
        if self.training:
            mask = (torch.rand_like(code) < self.keep) / self.keep
            code = code * mask
        return code

    def forward(self, x):
        code = self.switch_off(torch.tanh(self.encode(x)))
        code = self.switch_off(torch.tanh(self.mix(code)))
        return self.decide(code)


def score(model, x, y):
    model.eval()
    with torch.no_grad():
        out = model(x)
    return F.cross_entropy(out, y).item(), (out.argmax(1) == y).float().mean().item()


def main():
    torch.manual_seed(68)
    x, y = read("train", 3000)
    x_val, y_val = read("t10k", 1000)
    model = CodeNet()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.015, momentum=0.9)
    for epoch in range(8):
        model.train()
        total = 0.0
        for rows in torch.randperm(len(x)).split(60):
            loss = F.cross_entropy(model(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        val_loss, val_acc = score(model, x_val, y_val)
        print(f"epoch {epoch}: loss {total / len(x):.4f}, val loss {val_loss:.4f}, val accuracy {val_acc:.4f}")


if __name__ == "__main__":
    main()
