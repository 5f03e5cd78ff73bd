"""A network as it is, under torchdx's own instruments."""

import torch
from torch import nn
from torch.nn import functional

from torchdx.lab.watching import watched
from torchdx.record.model import Record


def measured(net: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> Record:
    """What torchdx records of one step that leaves the weights as they are (a rate of 0).

    The gradients of the cross-entropy stay in the network's parameters.
    """
    optimizer = torch.optim.SGD(net.parameters(), lr=0.0)
    with watched(net, optimizer) as run:
        optimizer.zero_grad()
        functional.cross_entropy(net(images), labels).backward()
        optimizer.step()
    return run.record


def at_first(record: Record, signal: str, place: str) -> float:
    """The first value of a signal at a place; NaN where it was not measured."""
    series = record.series(signal, place)
    return float(series[0][1]) if series else float("nan")
