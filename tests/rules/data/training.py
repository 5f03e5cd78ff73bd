"""Tiny training runs for the rules about data."""

import torch
from torch import nn
from torch.nn import functional

from tests.support import observed


def groups(rows=240, classes=4, columns=6, spread=0.4, seed=0):
    """Rows in as many groups as there are classes, and the number of each row's group."""
    source = torch.Generator().manual_seed(seed)
    centres = torch.randn(classes, columns, generator=source)
    labels = torch.arange(rows) % classes
    return centres[labels] + spread * torch.randn(rows, columns, generator=source), labels


def epochs(x, y, *, passes=3, batch=20, lr=0.05, loss=functional.cross_entropy, outputs=4):
    """Train a small net on batches in a new order in each pass."""
    model = nn.Sequential(nn.Linear(x.shape[1], 16), nn.ReLU(), nn.Linear(16, outputs))
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    for _ in range(passes):
        for rows in torch.randperm(len(x)).split(batch):
            optimizer.zero_grad()
            loss(model(x[rows]), y[rows]).backward()
            optimizer.step()


def run(program, tmp_path):
    """The record of a program, the same each time."""

    def seeded():
        torch.manual_seed(0)
        program()

    return observed(seeded, tmp_path / "run.dx")
