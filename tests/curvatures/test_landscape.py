"""The loss along lines and planes."""

import copy
import json
import math

import pytest
import torch
from torch import nn

import torchdx as dx
from tests.curvatures.cases import function, net, quadratic

A = torch.diag(torch.tensor([4.0, 1.0, -0.5], dtype=torch.float64))


@pytest.mark.parametrize("direction", ["gradient", "eig0", "eig1", "eig-1", "random"])
def test_on_a_quadratic_every_line_is_its_parabola(direction):
    found = quadratic(A, [1.0, 1.0, 1.0]).slice(direction, n=7)
    assert found.losses == pytest.approx(found.parabola, abs=1e-12)
    assert len(found.losses) == len(found.axes[0].places) == 7
    assert found.barrier is None


def test_on_a_quadratic_a_plane_is_its_paraboloid_with_the_mixed_term():
    tilted = torch.tensor([[2.0, 1.0], [1.0, -1.0]], dtype=torch.float64)
    c = quadratic(tilted, [1.0, 2.0])
    e = torch.eye(2, dtype=torch.float64)
    found = c.slice(e[0], e[1], n=3, reach=(0.0, 2.0))
    assert found.axes[1].places == (0.0, 1.0, 2.0)
    for row, smooth in zip(found.losses, found.parabola, strict=True):
        assert row == pytest.approx(smooth, abs=1e-12)
    w = torch.tensor([1.0 + 2.0, 2.0 + 1.0], dtype=torch.float64)
    assert found.losses[2][1] == pytest.approx(float(0.5 * w @ tilted @ w))


def test_the_update_is_the_optimizer_s_and_one_is_its_end():
    model, (x, y) = net()
    optimizer = torch.optim.Adam(model.parameters(), 0.05)
    c = dx.curvature(model, nn.CrossEntropyLoss(), (x, y), optimizer)
    found = c.slice("update", n=5)
    assert found.axes[0].places == (-1.0, 0.0, 1.0, 2.0, 3.0)
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()
    loss = nn.functional.cross_entropy(model(x), y)
    assert found.losses[2] == pytest.approx(float(loss.detach()), rel=1e-12)


def test_between_two_weights_the_barrier_stands_above_the_straight_line():
    model = nn.Linear(1, 1, bias=False)
    other = copy.deepcopy(model)
    with torch.no_grad():
        model.weight.fill_(-1.0)
        other.weight.fill_(1.0)

    def wells(model, batch):
        return (model.weight**2 - 1).square().sum() + 0.5 * model.weight.sum()

    c = dx.curvature(model, wells, torch.ones(1, 1))
    found = c.slice(other.state_dict(), n=61)
    assert found.losses[10] == pytest.approx(-0.5)
    assert found.losses[50] == pytest.approx(0.5)
    assert found.barrier == pytest.approx(1.0, abs=1e-6)
    assert "barrier" in str(found)


def test_a_hole_stays_a_hole():
    c, _ = function(lambda z: z.log().sum() + z.sum(), [0.5])
    found = c.slice(torch.ones(1).double(), n=5, reach=2.0)
    assert [math.isnan(v) for v in found.losses] == [True, True, False, False, False]
    assert "×" in str(found)
    assert "2 places where the loss is not finite" in str(found)
    assert "NaN" in json.dumps(found.as_dict())


def test_steps_of_growing_size_tell_how_far_each_batch_lets_one_go():
    w = nn.Parameter(torch.ones(1, dtype=torch.float64))
    c = dx.curvature(lambda: 2 * (w * w).sum() + 1, [w])
    found = c.growing_steps([0.1, 0.25, 0.45, 1.0])
    expected = [(2 * (1 - 4 * lr) ** 2 + 1) / 3 for lr in found.lrs]
    assert found.relative[0] == pytest.approx(expected)
    assert found.reach == (0.45,)
    model, (x, y) = net()
    halves = [((x[:20], y[:20]), 20), ((x[20:], y[20:]), 20)]
    both = dx.curvature(model, nn.CrossEntropyLoss(), batches=halves).growing_steps([0.1, 1e4])
    alone = dx.curvature(model, nn.CrossEntropyLoss(), halves[1][0]).growing_steps([0.1, 1e4])
    assert both.relative[1] == pytest.approx(alone.relative[0])
    assert "batch 1" in str(both)


def test_the_reach_of_a_gradient_step_ends_where_the_loss_first_rises_at_all():
    c = quadratic(torch.diag(torch.tensor([10.0, 0.0], dtype=torch.float64)), [1.0, 0.0])
    found = c.growing_steps([0.1, 0.19, 0.21])
    assert found.relative[0] == pytest.approx((0.0, 0.81, 1.21))
    assert found.reach == (0.19,)
