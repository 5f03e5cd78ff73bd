"""Small regressions and classifications that train well, to be spoilt one way each."""

import torch
from torch import nn
from torch.nn import functional as fn

from tests.support import observed

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
