"""What float16 loses, and how a scaler is used."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.support import observed


def training(
    *,
    dtype=torch.float16,
    scaler=False,
    order="scale backward step update",
    factor=1.0,
    steps=12,
    init_scale=65536.0,
):
    """A program under autocast; `order` names what it does in a step."""

    def program():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4))
        optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
        amp = torch.amp.GradScaler("cpu", init_scale=init_scale, enabled=scaler)
        words = order.split()
        for _ in range(steps):
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype=dtype):
                loss = F.cross_entropy(net(torch.randn(8, 16)), torch.arange(8) % 4) * factor
            (amp.scale(loss) if "scale" in words else loss).backward()
            if "unscale" in words:
                amp.unscale_(optimizer)
            if "clip" in words:
                nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            amp.step(optimizer) if "step" in words else optimizer.step()
            if "update" in words:
                amp.update()

    return program


def misuses(program, tmp_path, *, error=None):
    def guarded():
        if error is None:
            program()
        else:
            with pytest.raises(error):
                program()

    record = observed(guarded, tmp_path / "run.dx")
    return [event.facts["misuse"] for event in record.of("scaler-misuse")]


@pytest.mark.parametrize(
    "order", ["scale backward step update", "scale backward unscale clip step update"]
)
def test_a_scaler_used_as_it_should_be_is_passed_over(order, tmp_path):
    assert misuses(training(scaler=True, order=order), tmp_path) == []


def test_steps_that_a_scaler_skips_to_find_its_scale_are_no_misuse(tmp_path):
    program = training(scaler=True, init_scale=2.0**40, steps=30)
    record = observed(program, tmp_path / "run.dx")
    assert 0 < record.steps < 30
    assert not record.of("scaler-misuse")
    assert not record.of("nonfinite")
    assert not record.of("half-gradients")


def test_a_loss_that_is_too_large_only_while_it_is_scaled_is_no_misuse_either(tmp_path):
    def program():
        torch.manual_seed(0)
        net = nn.Linear(16, 4)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
        amp = torch.amp.GradScaler("cpu", init_scale=2.0**127)
        for _ in range(8):
            optimizer.zero_grad()
            loss = net(torch.randn(8, 16)).pow(2).mean() + 3  # times the first scale it overflows
            amp.scale(loss).backward()
            amp.step(optimizer)
            amp.update()

    record = observed(program, tmp_path / "run.dx")
    assert math.isinf(record.losses[0][1])
    assert not record.of("nonfinite")


@pytest.mark.parametrize(
    ("order", "misuse", "error"),
    [
        ("scale clip step update", "clipped-scaled", None),
        ("step update", "loss-not-scaled", AssertionError),
        ("scale update", "scaler-passed-by", AssertionError),
        ("scale step", "no-update", RuntimeError),
    ],
)
def test_each_misuse_of_a_scaler_is_told(order, misuse, error, tmp_path):
    assert misuses(training(scaler=True, order=order), tmp_path, error=error) == [misuse]


def test_a_scaler_that_is_switched_off_is_as_none(tmp_path):
    program = training(dtype=torch.bfloat16, order="scale clip step update")
    assert misuses(program, tmp_path) == []


def test_a_scaler_that_skips_all_steps_is_told(tmp_path):
    program = training(scaler=True, factor=float("inf"), steps=40)
    assert misuses(program, tmp_path) == ["stuck"]


def halves(program, tmp_path):
    return observed(program, tmp_path / "run.dx").of("half-gradients")


def test_gradients_below_the_normal_range_of_float16_are_counted(tmp_path):
    few = halves(training(order="", factor=1.0), tmp_path)
    assert sum(e.facts["small"] for e in few) < 0.2 * sum(e.facts["elements"] for e in few)
    (tmp_path / "run.dx").unlink()
    most = halves(training(order="", factor=1e-3), tmp_path)
    there = sum(e.facts["elements"] - e.facts["zero"] for e in most)
    assert sum(e.facts["small"] for e in most) > 0.9 * there


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_nothing_is_measured_where_it_is_not_float16_or_a_scaler_is_there(dtype, tmp_path):
    assert halves(training(dtype=dtype, scaler=dtype is torch.float16), tmp_path) == []
