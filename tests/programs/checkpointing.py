"""Activation checkpointing with dropout inside: three blocks non-reentrant, the last one reentrant."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.checkpoint import checkpoint

from _digest import print_digest, seed_everything


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.body = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Dropout(0.1), nn.Linear(2 * width, width)
        )

    def forward(self, x):
        return x + self.body(x)


class Net(nn.Module):
    def __init__(self, width=64):
        super().__init__()
        self.stem = nn.Linear(64, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(4))
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 10))

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks[:-1]:
            x = checkpoint(block, x, use_reentrant=False)
        x = checkpoint(self.blocks[-1], x, use_reentrant=True)
        return self.head(x)


seed_everything(0)
images, labels = load_digits(return_X_y=True)
images = torch.tensor(images / 8 - 1, dtype=torch.float32)
labels = torch.tensor(labels)

model = Net()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
for epoch in range(2):
    for batch in torch.randperm(len(images)).split(64):
        loss = F.cross_entropy(model(images[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print("loss", repr(loss.item()))

print_digest(model)
