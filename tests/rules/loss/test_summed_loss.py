from functools import partial

import pytest
import torch
from torch.nn import functional as fn

from tests.rules.loss.training import net, train
from tests.support import answers, findings, observed

X = torch.randn(64, 6, generator=torch.Generator().manual_seed(0))
HEAVY = partial(torch.optim.SGD, momentum=0.9)
Y = X[:, :1] - 2 * X[:, 1:2]


def run(tmp_path, *, lr, loss=None, steps=30, kind=torch.optim.SGD):
    """Full-batch regression on 64 rows."""
    loss = loss or (lambda z: fn.mse_loss(z, Y, reduction="sum"))

    def program():
        torch.manual_seed(0)
        model = net(1)
        optimizer = kind(model.parameters(), lr=lr)
        train(model, lambda m: loss(m(X)), steps=steps, optimizer=optimizer)

    return observed(program, tmp_path / "run.dx")


def test_a_sum_with_a_rate_made_for_a_mean_is_found_with_its_numbers(tmp_path):
    (finding,) = findings("L09", run(tmp_path, lr=0.05))
    assert finding.severity == "fault"
    assert 'reduction="sum"' in finding.line.text
    assert "a sum over 64 rows" in finding.text
    assert "0.05 acts like 3.2 on a mean" in finding.text
    assert finding.evidence[1].value > 0.5 > finding.evidence[2].value


def test_a_sum_written_by_hand_is_found(tmp_path):
    assert findings("L09", run(tmp_path, lr=0.05, loss=lambda z: ((z - Y) ** 2).sum()))


@pytest.mark.parametrize(
    "program",
    [
        pytest.param({"lr": 0.05, "loss": lambda z: fn.mse_loss(z, Y)}, id="mean"),
        pytest.param(
            {"lr": 0.05, "loss": lambda z: fn.mse_loss(z, Y, reduction="sum") * (1 / 64)},
            id="sum times a share",
        ),
        pytest.param(
            {"lr": 0.05, "loss": lambda z: fn.mse_loss(z, Y, reduction="sum") / len(X)},
            id="sum divided by their number",
        ),
        pytest.param({"lr": 0.05 / 64}, id="rate tuned to the sum"),
        pytest.param({"lr": 0.01, "kind": torch.optim.Adam}, id="Adam"),
        pytest.param({"lr": 2.0, "kind": torch.optim.Adam}, id="Adam that diverges by itself"),
        pytest.param({"lr": 1e-7}, id="rate too low for the loss to fall"),
        pytest.param(
            {"lr": 0.3, "kind": HEAVY, "loss": lambda z: fn.mse_loss(z, Y, reduction="sum") / 64},
            id="divided, and diverging by its momentum",
        ),
        pytest.param(
            {"lr": 100.0, "loss": lambda z: fn.mse_loss(z, Y)}, id="a mean that diverges too"
        ),
    ],
)
def test_other_reductions_rates_and_optimizers_are_silent(program, tmp_path):
    assert not answers("L09", run(tmp_path, **program))


def test_a_rate_at_which_the_mean_would_begin_too_long_as_well_is_silent(tmp_path):
    assert not answers("L09", run(tmp_path, lr=100.0))


def test_one_step_shows_no_harm(tmp_path):
    assert not answers("L09", run(tmp_path, lr=0.05, steps=1))


def test_a_penalty_that_sums_over_weights_is_no_sum_over_rows(tmp_path):
    def program():
        torch.manual_seed(0)
        train(
            net(1),
            lambda m: fn.mse_loss(m(X), Y) + 1e-4 * sum(p.abs().sum() for p in m.parameters()),
            optimizer=None,
        )

    assert not answers("L09", observed(program, tmp_path / "run.dx"))
