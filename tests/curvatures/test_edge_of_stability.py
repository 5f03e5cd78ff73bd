"""Full-batch gradient descent rises to its stability limit and hovers there (Cohen et al. 2021)."""

from statistics import median

import pytest
import torch
from torch import nn

import torchdx as dx


def digits():
    datasets = pytest.importorskip("sklearn.datasets")
    x, y = datasets.load_digits(return_X_y=True)
    x = torch.tensor(x / 16.0, dtype=torch.float32)[:500]
    return x - x.mean(0), nn.functional.one_hot(torch.tensor(y)[:500], 10).float()


def half_square(output, target):
    return 0.5 * (output - target).square().sum(1).mean()


@pytest.mark.slow
def test_sharpness_hovers_at_the_limit_and_is_called_the_edge_not_a_fault():
    x, y = digits()
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 10)
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    c = dx.curvature(model, half_square, (x, y), optimizer)
    start = c.stability()
    assert start.verdict == "stable"
    losses, ratios, products = [], [], []
    for step in range(3001):
        if step % 100 == 0:
            c = c.renew()
            followed = c.track(5)
            products.append(followed.spent.products)
            ratios.append(followed.value * 0.5 / 2)
        optimizer.zero_grad()
        loss = half_square(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    late = ratios[-10:]
    assert median(late) == pytest.approx(1.0, abs=0.06)
    assert all(0.94 < r < 1.1 for r in late)
    assert median(products) <= 3
    found = c.renew().stability(losses[-300:])
    assert found.verdict in {"edge of stability", "near the edge"}
    assert found.ratio.middle == pytest.approx(1.0, abs=0.06)
    optimizer.param_groups[0]["lr"] = 2.0
    rising = []
    for _ in range(12):
        optimizer.zero_grad()
        loss = half_square(model(x), y)
        rising.append(float(loss.detach()))
        loss.backward()
        optimizer.step()
    found = c.renew().stability(rising)
    assert found.verdict == "unstable"
