import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.support import observed


def record_of(model, inputs, tmp_path, *, steps=3, rate=0.01):
    """The record of a few steps towards zero."""

    def program():
        optimizer = torch.optim.SGD(model.parameters(), lr=rate)
        for _ in range(steps):
            optimizer.zero_grad()
            functional.mse_loss(model(inputs), torch.zeros(len(inputs), 2)).backward()
            optimizer.step()

    return observed(program, tmp_path / "run.dx")


@pytest.fixture
def inputs():
    return torch.randn(50, 6, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))


def test_moments_zeros_and_gain_are_those_of_the_outputs(model, inputs, tmp_path):
    with torch.no_grad():
        first, second = model[0](inputs), model[1](model[0](inputs))
    record = record_of(model, inputs, tmp_path)
    at_one = {name: {p: s[0] for p, s in places.items()} for name, places in record.signals.items()}
    assert at_one["activation.mean"]["0"] == (1, pytest.approx(float(first.mean()), rel=1e-3))
    assert at_one["activation.std"]["0"][1] == pytest.approx(
        float(first.std(correction=0)), rel=1e-3
    )
    assert at_one["activation.zeros"]["1"][1] == pytest.approx(float((second == 0).float().mean()))
    rms = math.sqrt(float((first**2).mean()) / float((inputs**2).mean()))
    assert at_one["activation.gain"]["0"][1] == pytest.approx(rms, rel=1e-3)
    assert list(record.signals["activation.std"]) == ["0", "1", "2"]


def test_output_gradients_are_those_that_autograd_gives(model, inputs, tmp_path):
    out = model[0](inputs)
    hidden = out.detach().requires_grad_()
    functional.mse_loss(model[2](model[1](hidden)), torch.zeros(50, 2)).backward()
    wanted = float((hidden.grad**2).mean().sqrt())
    record = record_of(model, inputs, tmp_path)
    assert record.series("output_gradient.rms", "0")[0][1] == pytest.approx(wanted, rel=1e-3)


def test_a_unit_is_dead_when_no_sample_raised_it_above_zero(model, inputs, tmp_path):
    with torch.no_grad():
        model[0].bias[:2] = -100.0
    record = record_of(model, inputs, tmp_path)
    assert record.series("unit.dead", "1")[-1][1] >= 2 / 8
    assert record.series("unit.still", "1")[-1][1] >= 2 / 8


def test_rows_that_all_give_the_same_have_no_spread(model, inputs, tmp_path):
    record = record_of(model, inputs[:1].expand(50, 6), tmp_path)
    assert record.series("row.spread", "0")[0][1] < 1e-3
    record = record_of(model, inputs, tmp_path / "other")
    assert record.series("row.spread", "0")[0][1] > 0.3


def test_outputs_that_are_changed_in_place_were_measured_before(inputs, tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(inplace=True), nn.Linear(8, 2))
    record = record_of(model, inputs, tmp_path)
    assert record.series("activation.zeros", "0")[0][1] == 0
    assert record.series("activation.zeros", "1")[0][1] > 0.2


class Odd(nn.Module):
    """Puts out what has no mean."""

    def __init__(self, kind):
        super().__init__()
        self.kind, self.real = kind, nn.Linear(6, 2)

    def forward(self, x):
        odd = {
            "complex": lambda: torch.fft.fft(x),
            "whole": x.long,
            "sparse": x.to_sparse,
            "empty": lambda: x[:0],
            "none": lambda: None,
        }[self.kind]()
        nn.Identity()(odd)
        return self.real(x)


@pytest.mark.parametrize("kind", ["complex", "whole", "sparse", "empty", "none"])
def test_outputs_that_have_no_moments_are_left_out(kind, inputs, tmp_path):
    record = record_of(Odd(kind), inputs, tmp_path)
    assert list(record.signals["activation.std"]) == ["real"]
