import pytest
import torch
from torch import nn
from torch.nn import functional as fn

from tests.support import answers, findings, observed

GENERATOR = torch.Generator().manual_seed(0)
CENTRES = torch.randn(5, 6, generator=GENERATOR) * 3
Y = torch.randint(0, 5, (200,), generator=GENERATOR)
X = CENTRES[Y] + torch.randn(200, 6, generator=GENERATOR)
ORDER = (X[:, 0] * 2).round().clamp(-6, 6)


def run(tmp_path, loss, *, outputs, steps=12):
    def program():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, outputs))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for step in range(steps):
            at = slice(20 * (step % 10), 20 * (step % 10) + 20)
            optimizer.zero_grad()
            loss(model(X[at]), at).backward()
            optimizer.step()

    return observed(program, tmp_path / "run.dx")


def test_class_numbers_fitted_by_squares_are_found(tmp_path):
    record = run(tmp_path, lambda z, at: fn.mse_loss(z[:, 0], Y[at].float()), outputs=1)
    (finding,) = findings("L10", record)
    assert finding.severity == "suspicion"
    assert "5 class numbers" in finding.text
    assert "mse_loss" in finding.line.text


@pytest.mark.parametrize(
    "loss",
    [
        pytest.param(lambda z, at: fn.mse_loss(z, fn.one_hot(Y[at], 5).float()), id="mse"),
        pytest.param(
            lambda z, at: ((z.softmax(1) - fn.one_hot(Y[at], 5)) ** 2).sum(1).mean(), id="by hand"
        ),
    ],
)
def test_one_hot_rows_fitted_by_squares_are_found(loss, tmp_path):
    (finding,) = findings("L10", run(tmp_path, loss, outputs=5))
    assert "each row asks for one 1 among zeros" in finding.text


def test_cross_entropy_is_silent(tmp_path):
    assert not answers("L10", run(tmp_path, lambda z, at: fn.cross_entropy(z, Y[at]), outputs=5))


def test_whole_numbers_with_an_order_are_silent(tmp_path):
    assert len(ORDER.unique()) <= 13
    record = run(tmp_path, lambda z, at: fn.mse_loss(z[:, 0], ORDER[at]), outputs=1)
    assert not answers("L10", record)


def test_a_discriminator_fitted_by_squares_to_one_value_is_silent(tmp_path):
    record = run(tmp_path, lambda z, _: fn.mse_loss(z, torch.ones_like(z)), outputs=1)
    assert not answers("L10", record)


def test_two_steps_are_too_few_rows_for_an_order(tmp_path):
    loss = lambda z, at: fn.mse_loss(z[:, 0], Y[at].float())  # noqa: E731
    assert not answers("L10", run(tmp_path, loss, outputs=1, steps=2))
