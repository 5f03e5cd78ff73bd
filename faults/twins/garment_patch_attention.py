"""Fashion-MNIST as a sequence of 16 patches, read by one attention block."""
import gzip

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

FOLDER = "/usr/share/datasets/fashion-mnist/"


def load(part, n):
    images = gzip.open(f"{FOLDER}{part}-images-idx3-ubyte.gz").read(16 + 784 * n)
    labels = gzip.open(f"{FOLDER}{part}-labels-idx1-ubyte.gz").read(8 + n)
    x = torch.tensor(np.frombuffer(images, np.uint8, offset=16).reshape(n, 28, 28) / 255.0).float()
    y = torch.tensor(np.frombuffer(labels, np.uint8, offset=8).astype(np.int64))
    patches = x.unfold(1, 7, 7).unfold(2, 7, 7).reshape(n, 16, 49)
    return (patches - 0.286) / 0.353, y


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads)
        self.mlp = nn.Sequential(nn.Linear(width, 64), nn.GELU(), nn.Linear(64, width))

    def forward(self, x):
        n, t, width = x.shape
        h = self.norm1(x).transpose(0, 1)
        h, _ = self.attention(h, h, h, need_weights=False)
        x = x + h.transpose(0, 1)
        return x + self.mlp(self.norm2(x))


class PatchNet(nn.Module):
    def __init__(self, width=32, heads=4):
        super().__init__()
        self.embed = nn.Linear(49, width)
        self.place = nn.Parameter(0.3 * torch.randn(16, width))
        self.block = Block(width, heads)
        self.head = nn.Linear(width, 10)

    def forward(self, patches):
        x = self.block(self.embed(patches) + self.place)
        return self.head(x.mean(dim=1))


def main():
    torch.manual_seed(12)
    x, y = load("train", 2500)
    x_test, y_test = load("t10k", 1000)
    model = PatchNet()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for epoch in range(6):
        model.train()
        total = 0.0
        for rows in torch.randperm(len(x)).split(50):
            loss = F.cross_entropy(model(x[rows]), y[rows])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        model.eval()
        with torch.inference_mode():
            acc = (model(x_test).argmax(-1) == y_test).float().mean().item()
        print(f"epoch {epoch}: loss {total / len(x):.4f} test accuracy {acc:.3f}")


if __name__ == "__main__":
    main()
