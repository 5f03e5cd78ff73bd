"""A mixer in the manner of Tolstikhin et al. 2021: mix over patches, then over features, several times."""
import argparse
import gzip

import numpy as np
import torch
import torch.nn as nn

PATCH, PATCHES = 7, 16


def clones(module, n):
    """n identical layers."""
    return nn.ModuleList([module for _ in range(n)])


class MixerLayer(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm_a = nn.LayerNorm(width)
        self.norm_b = nn.LayerNorm(width)
        self.over_patches = nn.Sequential(nn.Linear(PATCHES, 24), nn.GELU(), nn.Linear(24, PATCHES))
        self.over_features = nn.Sequential(nn.Linear(width, 64), nn.GELU(), nn.Linear(64, width))

    def forward(self, x):
        x = x + self.over_patches(self.norm_a(x).transpose(1, 2)).transpose(1, 2)
        return x + self.over_features(self.norm_b(x))


class Mixer(nn.Module):
    def __init__(self, width, depth):
        super().__init__()
        self.lift = nn.Conv2d(1, width, PATCH, stride=PATCH)
        self.layers = clones(MixerLayer(width), depth)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 10)

    def forward(self, x):
        x = self.lift(x).flatten(2).transpose(1, 2)
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x).mean(dim=1))


def fashion(split, n):
    folder = "/usr/share/datasets/fashion-mnist/"
    images = gzip.open(f"{folder}{split}-images-idx3-ubyte.gz").read(16 + 784 * n)
    labels = gzip.open(f"{folder}{split}-labels-idx1-ubyte.gz").read(8 + n)
    x = torch.from_numpy(np.frombuffer(images, np.uint8, offset=16).astype(np.float32)).view(n, 1, 28, 28)
    return (x / 255 - 0.286) / 0.353, torch.from_numpy(np.frombuffer(labels, np.uint8, offset=8).astype(np.int64))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--depth", type=int, default=4)
    p.add_argument("--width", type=int, default=32)
    p.add_argument("--epochs", type=int, default=5)
    p.add_argument("--lr", type=float, default=4e-3)
    args = p.parse_args()

    torch.manual_seed(61)
    x, y = fashion("train", 2000)
    x_val, y_val = fashion("t10k", 1000)
    model = Mixer(args.width, args.depth)
    print(sum(w.numel() for w in model.parameters()), "weights")
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=args.epochs, eta_min=args.lr / 20)
    for epoch in range(args.epochs):
        model.train()
        total = 0.0
        for rows in torch.randperm(len(x)).split(50):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        schedule.step()
        model.eval()
        with torch.no_grad():
            logits = model(x_val)
            accuracy = (logits.argmax(1) == y_val).float().mean().item()
            val = nn.functional.cross_entropy(logits, y_val).item()
        print(f"epoch {epoch + 1}: train {total / len(x):.4f} validation {val:.4f} accuracy {accuracy:.4f}")


if __name__ == "__main__":
    main()
