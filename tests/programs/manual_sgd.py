"""No torch.optim: p -= lr * p.grad under no_grad, then p.grad = None."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

from _digest import print_digest, seed_everything

seed_everything(0)
x, y = load_digits(return_X_y=True)
x = torch.tensor((x - x.mean()) / x.std(), dtype=torch.float32)
y = torch.tensor(y)

model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
lr = 0.2
for epoch in range(4):
    order = torch.randperm(len(x))
    for start in range(0, len(x) - 63, 64):
        rows = order[start : start + 64]
        loss = F.cross_entropy(model(x[rows]), y[rows])
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                p -= lr * p.grad
                p.grad = None
        print("loss", repr(loss.item()))

print_digest(model)
