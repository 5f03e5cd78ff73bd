"""Small regressions and classifications that train well, to be spoilt one way each."""

import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as fn

from tests.support import observed
from torchdx.instruments import probing
from torchdx.record.model import Record

GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(256, 8, generator=GENERATOR)
Y = torch.tanh(X @ torch.randn(8, 1, generator=GENERATOR))


def run(tmp_path, make_optimizer, *, steps=80, clip=None, batch=64):
    """A small net fitted by squares, with the optimizer that is made."""

    def program():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
        optimizer = make_optimizer(model)
        for step in range(steps):
            at = slice(batch * step % 256, batch * step % 256 + batch)
            optimizer.zero_grad()
            fn.mse_loss(model(X[at]), Y[at]).backward()
            if clip is not None:
                nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()

    return observed(program, tmp_path / "run.dx")


def sgd(rate, **settings):
    return lambda model: torch.optim.SGD(model.parameters(), lr=rate, **settings)


def adam(rate, **settings):
    return lambda model: torch.optim.Adam(model.parameters(), lr=rate, **settings)


CENTRES = torch.randn(6, 10, generator=GENERATOR)
KINDS = torch.randint(0, 6, (512,), generator=GENERATOR)
ROWS = CENTRES[KINDS] + torch.randn(512, 10, generator=GENERATOR)


def classify(tmp_path, rate, *, steps=160, momentum=0.9, noise=1.0):
    """A tanh net on six clouds that overlap with the noise."""
    rows = CENTRES[KINDS] + noise * (ROWS - CENTRES[KINDS])

    def program():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(10, 32), nn.Tanh(), nn.Linear(32, 6))
        optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=momentum)
        for step in range(steps):
            at = slice(64 * step % 512, 64 * step % 512 + 64)
            optimizer.zero_grad()
            fn.cross_entropy(model(rows[at]), KINDS[at]).backward()
            optimizer.step()

    return observed(program, tmp_path / "run.dx")


def at_the_edge(path, *, eta=0.5, steps=260):
    """Full-batch descent on digits: the curvature rises to 2 / eta and hovers; the loss falls."""
    digits = load_digits()
    x = torch.tensor(digits.data[:500], dtype=torch.float32)
    x = (x - x.mean(0)) / (x.std(0) + 1e-3)
    y = fn.one_hot(torch.tensor(digits.target[:500]), 10).float()

    def program():
        torch.manual_seed(0)
        inner = nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh()
        model = nn.Sequential(*inner, nn.Linear(64, 10))
        optimizer = torch.optim.SGD(model.parameters(), lr=eta)
        for _ in range(steps):
            optimizer.zero_grad()
            (fn.mse_loss(model(x), y, reduction="sum") / 1000).backward()
            optimizer.step()

    return probed(program, path)


def probed(program, path):
    """Watched with time enough for every probe."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(probing, "GRACE_S", 60.0)
        return observed(program, path)


def bounded(record: Record, low: float, high: float) -> Record:
    """The same run, its curvature known to lie between these multiples of what steps bear."""
    for event in record.probes("sharpness"):
        per = event.facts["lr"] / event.facts["limit"]
        event.facts["low"], event.facts["high"] = low / per, high / per
        event.facts["curvature"], event.facts["ratio"] = low / per, low
    return record
