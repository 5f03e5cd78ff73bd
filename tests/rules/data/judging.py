"""Tiny programs that are judged now and then, and records of judged sets made by hand."""

import torch
from torch import nn
from torch.nn import functional

from tests.rules.data.records import INPUTS, NEIGHBOURS, PHASE
from torchdx.record.model import Record

OVERLAP = {
    "rows": 200,
    "shared": 0,
    "clean": 1.0,
    "known": 800,
    "covered": 0.0,
    "equal": None,
    "near": None,
    "labelled": 600,
    "derived": 0.0,
    "learned_rows": 1600,
    "repeated": 800,
    "expected": 800.0,
    "passes": 3,
    "recurring": 1.0,
    "labels_same": True,
    "labels": 4,
    "turns": 1.0,
    "kin": None,
    "shift": 0.02,
    "scale": 1.01,
    "columns": 2.5,
    "moved": 0.7,
}


def epochs(x, y, judged, *, passes=4, batch=20, altered=lambda rows: rows):
    """Train on rows in a new order in each epoch, each time `altered`; then judge `judged()`."""
    model = nn.Sequential(nn.Linear(x.shape[1], 16), nn.ReLU(), nn.Linear(16, 4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(passes):
        for rows in torch.randperm(len(x)).split(batch):
            optimizer.zero_grad()
            functional.cross_entropy(model(altered(x[rows])), y[rows]).backward()
            optimizer.step()
        judge(model, *judged())


def judge(model, held_x, held_y):
    """Score rows against their labels."""
    with torch.no_grad():
        return (model(held_x).argmax(1) == held_y).float().mean()


def judged_record(*, near=(), losses=(), train=(), inputs=(), own=(), optimizers=()):
    """A record of one judged set.

    own     what of its `overlap` is not ordinary; near: the same of the learned `neighbours`
    losses  of its passes, one after each 10 steps; train: the losses learned from
    """
    record = Record()
    record.apply({"e": "line", "id": 1, "file": "a.py", "line": 7, "text": "out = model(x)"})
    learned = {"role": "learned", "model": "", "set": 1}
    other = {"role": "judged", "model": "", "set": 2}
    _event(record, "inputs", INPUTS | dict(inputs) | learned)
    _event(record, "neighbours", NEIGHBOURS | dict(near) | learned)
    _event(record, "neighbours", NEIGHBOURS | other)
    _event(record, "overlap", OVERLAP | dict(own) | {"model": "", "set": 2})
    if train:
        steps = list(range(1, len(train) + 1))
        record.apply({"e": "steps", "step": steps, "loss": list(train)})
    for place, loss in enumerate(losses, 1):
        quiet = {"backwards": 0, "steps": 0, "training": False, "loader": 2}
        record.apply({**PHASE, **quiet, "step": 10 * place, "loss": loss})
    return record


def _event(record, kind, facts):
    record.apply({"e": "event", "kind": kind, "step": 1, "line": 1, "facts": facts})
