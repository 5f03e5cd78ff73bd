import pytest
import torch
from torch import nn

from tests.rules.data.training import run
from tests.support import findings


def fit(y, *, adam=True, lr=0.01, steps=60, first=None):
    """Fit numbers by squares; `first` is done to the net before."""
    x = torch.randn(len(y), 4)
    model = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 1))
    if first is not None:
        first(model)
    kind = torch.optim.Adam if adam else torch.optim.SGD
    optimizer = kind(model.parameters(), lr=lr)
    for _ in range(steps):
        rows = torch.randperm(len(y))[:20]
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x[rows]), y[rows]).backward()
        optimizer.step()


def numbers(mean, deviation):
    return mean + deviation * torch.randn(120, 1)


@pytest.mark.parametrize("mean", [24.0, -30.0])
def test_targets_far_from_zero_are_found(tmp_path, mean):
    record = run(lambda: fit(numbers(mean, 8.0)), tmp_path)
    (finding,) = findings("D17", record)
    assert finding.severity == "suspicion"
    assert finding.confidence == "strong"
    assert finding.evidence[0].value == pytest.approx(abs(mean) / 8, rel=0.2)
    assert "mse_loss" in finding.line.text


def test_targets_in_dollars_are_found(tmp_path):
    (finding,) = findings("D17", run(lambda: fit(numbers(22_000.0, 9_000.0)), tmp_path))
    assert "all of the steps go by" in finding.text


def test_scaled_targets_are_passed_over(tmp_path):
    assert not findings("D17", run(lambda: fit(numbers(0.0, 1.0)), tmp_path))


def test_a_run_that_gets_over_it_quickly_is_passed_over(tmp_path):
    assert not findings("D17", run(lambda: fit(numbers(2.0, 1.0), lr=0.1), tmp_path))


def test_an_output_that_starts_at_the_mean_is_passed_over(tmp_path):
    def start(model):
        nn.init.constant_(model[2].bias, 24.0)

    assert not findings("D17", run(lambda: fit(numbers(24.0, 8.0), first=start), tmp_path))


def test_outputs_that_are_far_off_themselves_are_another_matter(tmp_path):
    def wild(model):
        nn.init.constant_(model[2].bias, 50.0)

    assert not findings("D17", run(lambda: fit(numbers(0.0, 1.0), first=wild), tmp_path))


def test_too_few_steps_say_nothing(tmp_path):
    assert not findings("D17", run(lambda: fit(numbers(24.0, 8.0), steps=6), tmp_path))
