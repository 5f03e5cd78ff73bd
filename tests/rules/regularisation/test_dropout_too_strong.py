import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.rules.probed import modes, record
from tests.support import answers, findings, observed


def run_with(train, without, *, probes=2, **facts):
    run = modes(record(), 1, train_loss=2.0, batch_loss=2.0)
    for index in range(probes):
        losses = {"train_loss": train, "batch_loss": without, "train_difference": 0.5, **facts}
        modes(run, 20 * 3**index, **losses)
    return run


def program(p):
    """Numbers that four units have to add up exactly."""
    torch.manual_seed(0)
    x = torch.randn(64, 4)
    y = x.sum(1, keepdim=True) / 2
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(p), nn.Linear(8, 1))
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    for _ in range(62):
        optimizer.zero_grad()
        F.mse_loss(net(x), y).backward()
        optimizer.step()


def test_dropout_in_a_narrow_regression_is_found(tmp_path):
    (finding,) = findings("R01", observed(lambda: program(0.6), tmp_path / "run.dx"))
    assert finding.severity == "suspicion"
    assert "with dropout at work" in finding.text
    assert "nn.Dropout(p)" in finding.line.text
    assert finding.place == "2"
    assert finding.confirm


def test_a_little_dropout_there_is_silent(tmp_path):
    assert answers("R01", observed(lambda: program(0.05), tmp_path / "run.dx")) == []


@pytest.mark.parametrize(
    ("train", "without", "found"),
    [
        (0.76, 0.50, True),  # 0.26 of 2.0, and more than half of 0.5
        (0.74, 0.50, False),  # less than an eighth of the first loss
        (1.26, 1.00, False),  # less than half of what is left
        (0.09, 0.01, False),  # late in training: nine times as much, of very little
    ],
)
def test_the_gap_counts_against_the_first_loss_and_against_what_is_left(train, without, found):
    assert bool(findings("R01", run_with(train, without))) is found


def test_one_probe_is_too_few():
    assert answers("R01", run_with(1.5, 0.5, probes=1)) == []


def test_a_gap_that_is_not_dropouts_does_not_count():
    assert answers("R01", run_with(1.5, 0.5, train_difference=0.0)) == []


def test_a_loss_that_was_not_rebuilt_gives_no_answer():
    run = modes(record(), 1, train_loss=None, batch_loss=None)
    modes(modes(run, 20, train_loss=None, batch_loss=None), 60, train_loss=None, batch_loss=None)
    assert answers("R01", run) == []
