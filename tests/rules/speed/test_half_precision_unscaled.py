import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.support import findings, observed


def training(
    *,
    dtype=torch.float16,
    order="",
    factor=1.0,
    optimizer=torch.optim.SGD,
    lr=0.05,
    init_scale=65536.0,
    steps=20,
):
    """A program under autocast; `order` names what its scaler does in a step, none when empty."""

    def program():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4))
        stepper = optimizer(net.parameters(), lr=lr)
        words = order.split()
        scaler = torch.amp.GradScaler("cpu", init_scale=init_scale, enabled=bool(words))
        for _ in range(steps):
            stepper.zero_grad()
            with torch.autocast("cpu", dtype=dtype):
                loss = F.cross_entropy(net(torch.randn(8, 16)), torch.arange(8) % 4)
            scaler.scale(loss * factor).backward()
            if "unscale" in words:
                scaler.unscale_(stepper)
            if "clip" in words:
                nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            scaler.step(stepper)
            scaler.update()

    return program


def found(program, tmp_path):
    return findings("P01", observed(program, tmp_path / "run.dx"))


def test_gradients_below_the_range_of_float16_are_a_fault(tmp_path):
    (finding,) = found(training(factor=1e-3), tmp_path)
    assert finding.severity == "fault"
    assert "float16 is trained without a gradient scaler: " in finding.text
    assert finding.evidence[0].value > 0.9
    assert "backward()" in finding.line.text


def test_gradients_that_have_all_become_0_are_a_fault(tmp_path):
    (finding,) = found(training(factor=1e-9), tmp_path)
    assert finding.severity == "fault"
    assert (
        "in 100% of the parameters that were looked at all gradients are exactly 0" in finding.text
    )


def test_the_same_with_a_scaler_is_healthy(tmp_path):
    assert found(training(factor=1e-3, order="scale step update"), tmp_path) == []


def test_bfloat16_needs_no_scaler(tmp_path):
    assert found(training(factor=1e-3, dtype=torch.bfloat16), tmp_path) == []


def test_gradients_within_the_range_make_it_a_note(tmp_path):
    (finding,) = found(training(factor=10.0), tmp_path)
    assert finding.severity == "note"
    assert finding.evidence[0].value < 0.05


def test_a_share_between_the_limits_is_a_suspicion(tmp_path):
    (finding,) = found(training(factor=0.05), tmp_path)
    assert 0.05 <= finding.evidence[0].value < 0.5
    assert finding.severity == "suspicion"
    assert "bfloat16" in finding.confirm


def test_values_beyond_65504_are_a_fault(tmp_path):
    def program():
        torch.manual_seed(0)
        net = nn.Linear(16, 4)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.float16):
                loss = F.cross_entropy(net(torch.randn(8, 16) * 1e5), torch.arange(8) % 4)
            loss.backward()
            optimizer.step()

    (finding,) = found(program, tmp_path)
    assert finding.severity == "fault"
    assert "from the first step values beyond 65,504 have become infinite" in finding.text


def test_skipped_steps_by_which_a_scaler_finds_its_scale_are_healthy(tmp_path):
    assert found(training(order="scale step update", init_scale=2.0**40, steps=30), tmp_path) == []


def test_clipping_scaled_gradients_is_a_fault(tmp_path):
    (finding,) = found(training(order="scale clip step update"), tmp_path)
    assert finding.severity == "fault"
    assert "clipped while they are still multiplied" in finding.text
    assert "clip_grad_norm_" in finding.line.text
    assert "unscale_" in finding.prescriptions[0].text


def test_clipping_scaled_gradients_under_adam_is_a_suspicion(tmp_path):
    program = training(order="scale clip step update", optimizer=torch.optim.Adam, lr=1e-3)
    (finding,) = found(program, tmp_path)
    assert finding.severity == "suspicion"


def test_clipping_after_unscale_is_healthy(tmp_path):
    assert found(training(order="scale unscale clip step update"), tmp_path) == []


@pytest.mark.parametrize("steps", [1])
def test_a_single_step_is_enough_to_say_what_is_missing(steps, tmp_path):
    (finding,) = found(training(factor=1e-3, steps=steps), tmp_path)
    assert finding.severity == "fault"


def test_without_float16_there_is_no_answer(tmp_path):
    assert (
        found(training(dtype=torch.bfloat16, order="scale clip unscale step"), tmp_path) is not None
    )
    (tmp_path / "run.dx").unlink()

    def program():
        net = nn.Linear(4, 2)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            (net(torch.randn(8, 4)).pow(2).mean() * 1e-8).backward()
            optimizer.step()

    assert found(program, tmp_path) == []
