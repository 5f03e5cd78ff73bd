import pytest
import torch
from torch import nn


@pytest.fixture
def weight():
    return nn.Parameter(torch.zeros(1))


def test_gradients_do_not_pile_up(treated, weight):
    site = treated("zero_grad")
    optimizer = torch.optim.SGD([weight], lr=1.0)
    for _ in range(3):
        weight.sum().backward()
        optimizer.step()
    assert weight.item() == -3.0
    assert site.acted == 2


def test_clearing_between_backward_and_step_is_left_out(treated, weight):
    site = treated("zero_grad")
    optimizer = torch.optim.SGD([weight], lr=1.0)
    for _ in range(3):
        weight.sum().backward()
        optimizer.zero_grad()
        optimizer.step()
    assert weight.item() == -3.0
    assert site.acted


@pytest.mark.parametrize("passes", [1, 2])
def test_a_right_loop_stays(treated, weight, passes):
    site = treated("zero_grad")
    optimizer = torch.optim.SGD([weight], lr=1.0)
    for _ in range(3):
        optimizer.zero_grad()
        for _ in range(passes):
            weight.sum().backward()
        optimizer.step()
    assert weight.item() == -3.0 * passes
    assert not site.acted


def test_gradients_can_be_read_behind_the_step(treated, weight):
    treated("zero_grad")
    optimizer = torch.optim.SGD([weight], lr=1.0)
    weight.sum().backward()
    optimizer.step()
    assert weight.grad is not None


def test_each_pass_of_a_closure_is_one_of_its_own(treated, weight):
    site = treated("zero_grad")
    optimizer = torch.optim.LBFGS([weight], lr=1.0, max_iter=4)
    seen = []

    def closure():
        loss = ((weight - 3) ** 2).sum()
        loss.backward()
        seen.append(weight.grad.item() - 2 * (weight.item() - 3))
        return loss

    for _ in range(3):
        optimizer.step(closure)
    assert max(map(abs, seen)) < 1e-6
    assert len(seen) > 3
    assert site.acted


def test_a_step_that_a_scaler_leaves_out_does_not_stay_in_the_gradients(treated, weight):
    treated("zero_grad")
    optimizer = torch.optim.SGD([weight], lr=1.0)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
    for factor in (float("inf"), 1.0):
        scaler.scale(weight.sum() * factor).backward()
        scaler.step(optimizer)
        scaler.update()
    assert weight.item() == -1.0


def test_one_of_two_optimizers_is_meant(treated, weight):
    treated("zero_grad", where="optimizer 2")
    other = nn.Parameter(torch.zeros(1))
    pair = [torch.optim.SGD([p], lr=1.0) for p in (weight, other)]
    for _ in range(2):
        (weight + other).sum().backward()
        for optimizer in pair:
            optimizer.step()
    assert weight.item() == -3.0
    assert other.item() == -2.0
