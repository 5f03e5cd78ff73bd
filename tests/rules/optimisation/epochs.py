"""Tiny runs in epochs, for the rules about schedulers."""

import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

from tests.rules.loss.training import inputs, labels, net


def epochs(make, step="never", *, count=5, batches=12, rebuilt=False):
    """`count` epochs over a loader; the scheduler of `make(optimizer)` steps per batch or epoch."""
    data = TensorDataset(inputs(2 * batches), labels(2 * batches))
    loader = DataLoader(data, batch_size=2, shuffle=True)
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = None if rebuilt else make(optimizer)
    for _ in range(count):
        scheduler = make(optimizer) if rebuilt else scheduler
        for x, y in loader:
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            if step == "batch":
                scheduler.step()
        if step == "epoch":
            scheduler.step()
