"""Tiny classifiers for the rules about signals: which of four places a row belongs to."""

import itertools

import torch
from torch import nn
from torch.nn import functional

from torchdx.record.model import Record

CLASSES, FEATURES, ROWS = 4, 12, 48


def rows(seed=0):
    """Rows of about unit size around four places, and which place each belongs to."""
    generator = torch.Generator().manual_seed(seed)
    places = torch.randn(CLASSES, FEATURES, generator=generator)
    which = torch.arange(ROWS) % CLASSES
    x = places[which] + torch.randn(ROWS, FEATURES, generator=generator) / 2
    return (x - x.mean()) / x.std(), which


def fit(make_net, *, steps=24, rate=0.05, loss=functional.cross_entropy):
    """A program that trains a net on these rows with SGD."""

    def program():
        torch.manual_seed(0)
        net, (x, which) = make_net(), rows()
        optimizer = torch.optim.SGD(net.parameters(), lr=rate)
        for _ in range(steps):
            optimizer.zero_grad()
            loss(net(x), which).backward()
            optimizer.step()

    return program


def layered(*, widths=(16, 16), between=nn.ReLU, begin=None):
    """A net of linear layers with an activation between; `begin` sets the weights of each."""
    sizes = [FEATURES, *widths, CLASSES]
    layers = []
    for inputs, outputs in itertools.pairwise(sizes):
        linear = nn.Linear(inputs, outputs)
        if begin is not None:
            begin(linear)
        layers += [linear, between()]
    return nn.Sequential(*layers[:-1])


def he(linear, factor=1.0):
    """He's weights, times a factor, and no bias."""
    nn.init.kaiming_normal_(linear.weight)
    nn.init.zeros_(linear.bias)
    with torch.no_grad():
        linear.weight.mul_(factor)


def only(record: Record, **signals: dict[str, float]) -> Record:
    """The record with these signals constant at some places: `unit__dead={"0": 0.6}`."""
    for signal, places in signals.items():
        series = record.signals[signal.replace("__", ".")]
        for place, value in places.items():
            series[place] = [(step, value) for step, _ in series[place]]
    return record
