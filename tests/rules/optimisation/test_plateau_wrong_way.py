import pytest
import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from tests.rules.loss.training import inputs, labels, net
from tests.support import answers, findings, observed
from torchdx.instruments.plateaus import shares_of

RISING = [0.5, 0.625, 0.75, 0.8125, 0.9375, 0.9375]
FALLING = [0.91372, 0.7431, 0.6127, 0.5418, 0.49077, 0.4907]


def run(tmp_path, metrics, **settings):
    """Six epochs whose training loss falls; the scheduler is given these metrics."""

    def program():
        torch.manual_seed(0)
        model, x, y = net(), inputs(), labels()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        scheduler = ReduceLROnPlateau(optimizer, patience=0, **settings)
        for metric in metrics:
            for _ in range(6):
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(model(x), y).backward()
                optimizer.step()
            scheduler.step(metric)

    return observed(program, tmp_path / "run.dx")


@pytest.mark.parametrize(
    ("metrics", "mode"),
    [(RISING, "min"), ([100 * m for m in RISING], "min"), (FALLING, "max")],
)
def test_a_metric_that_gets_better_the_other_way_is_found(metrics, mode, tmp_path):
    (finding,) = findings("O18", run(tmp_path, metrics, mode=mode))
    assert finding.severity == "suspicion"
    assert "ReduceLROnPlateau(" in finding.line.text
    assert finding.prescriptions[0].to == ("max" if mode == "min" else "min")


@pytest.mark.parametrize(
    ("metrics", "mode"),
    [
        pytest.param(RISING, "max", id="accuracy"),
        pytest.param(FALLING, "min", id="loss"),
        pytest.param(FALLING[::-1], "min", id="loss that rises from the first epoch on"),
        pytest.param([0.5, 0.4375, 0.625, 0.75, 0.8125], "min", id="error rate that fell first"),
        pytest.param(RISING[::-1], "max", id="accuracy that falls"),
        pytest.param([0.5, 0.625, 0.5625, 0.5625], "min", id="one cut at the highest"),
    ],
)
def test_a_metric_that_is_taken_as_it_is_meant_is_silent(metrics, mode, tmp_path):
    assert not answers("O18", run(tmp_path, metrics, mode=mode))


@pytest.mark.parametrize(
    ("values", "rows"),
    [([0.5, 0.75], 4), ([0.25, 0.125], 8), ([72.0, 82.5], 200), ([0.91372, 0.7431, 0.61127], 0)],
)
def test_shares_are_told_from_other_numbers(values, rows):
    found = shares_of([float(torch.tensor(value)) for value in values])
    assert found == rows or (rows == 0 and found > 5_000)


def test_a_run_without_such_a_scheduler_says_nothing(tmp_path):
    def program():
        model = net()
        model(inputs()).mean().backward()

    assert not answers("O18", observed(program, tmp_path / "run.dx"))
