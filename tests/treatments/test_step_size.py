import pytest
import torch
from torch import nn

from torchdx.treatments.step_size import scaled


def test_rates_of_some_groups_are_scaled_and_put_back():
    a, b = nn.Linear(1, 1), nn.Linear(1, 1)
    optimizer = torch.optim.SGD([{"params": a.parameters()}, {"params": b.parameters()}], lr=0.4)
    with scaled(optimizer, 0.5, groups=[1]):
        assert [g["lr"] for g in optimizer.param_groups] == [0.4, 0.2]
    assert [g["lr"] for g in optimizer.param_groups] == [0.4, 0.4]


def steps(optimizer, weight, count=1):
    for _ in range(count):
        weight.grad = torch.ones_like(weight)
        optimizer.step()


def test_a_step_is_a_tenth_and_the_schedule_does_not_know(treated):
    site = treated("step_size", to="0.1")
    weight = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    steps(optimizer, weight)
    scheduler.step()
    steps(optimizer, weight)
    assert weight.item() == pytest.approx(-0.15)
    assert optimizer.param_groups[0]["lr"] == 0.5
    assert site.acted == 2


def test_one_of_two_optimizers_is_meant(treated):
    treated("step_size", where="optimizer 2", to="0.1")
    first, second = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    pair = [torch.optim.SGD([p], lr=1.0) for p in (first, second)]
    steps(pair[0], first)
    steps(pair[1], second)
    assert first.item() == -1.0
    assert second.item() == pytest.approx(-0.1)


def test_a_step_that_raises_leaves_the_next_one_right(treated):
    treated("step_size", to="0.1")
    weight = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    with pytest.raises(ZeroDivisionError):
        optimizer.step(lambda: 1 / 0)
    steps(optimizer, weight)
    assert weight.item() == pytest.approx(-0.1)


def test_all_is_put_back(site, treated):
    treated("step_size", to="0.1")
    weight = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    site.close()
    steps(optimizer, weight)
    assert weight.item() == -1.0
