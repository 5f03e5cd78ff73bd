"""Tiny training runs for the rules about losses."""

from collections.abc import Callable

import torch
from torch import nn

ROWS, FEATURES, CLASSES = 12, 6, 4


def inputs(rows=ROWS):
    return torch.randn(rows, FEATURES)


def labels(rows=ROWS, classes=CLASSES):
    return torch.arange(rows) % classes


def net(outputs=CLASSES, *last):
    return nn.Sequential(nn.Linear(FEATURES, 8), nn.ReLU(), nn.Linear(8, outputs), *last)


def train(model: nn.Module, loss: Callable[[nn.Module], torch.Tensor], *, steps=4, optimizer=None):
    """Steps on `loss(model)`, with SGD where no optimizer is given."""
    optimizer = optimizer or torch.optim.SGD(model.parameters(), lr=0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(model).backward()
        optimizer.step()
