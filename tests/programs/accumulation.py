"""Gradient accumulation over 4 micro-batches; the last, shorter group is divided by its own size."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from _digest import print_digest, seed_everything

ACCUMULATE = 4

seed_everything(0)
images, labels = load_digits(return_X_y=True)
x = torch.tensor(images, dtype=torch.float32).view(-1, 1, 8, 8) / 8 - 1
loader = DataLoader(TensorDataset(x, torch.tensor(labels)), batch_size=16, shuffle=True)

model = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(),
    nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(128, 10),
)  # fmt: skip
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

for epoch in range(3):
    optimizer.zero_grad()
    total = 0.0
    for i, (images, targets) in enumerate(loader):
        first = i - i % ACCUMULATE
        group = min(ACCUMULATE, len(loader) - first)  # micro-batches in this group
        loss = F.cross_entropy(model(images), targets) / group
        loss.backward()
        total += loss.item()
        if i + 1 == first + group:
            optimizer.step()
            optimizer.zero_grad()
            print("loss", repr(total))
            total = 0.0

print_digest(model)
