import pytest
import torch
from torch.nn import functional as fn

from tests.rules.loss.training import inputs, labels, net, train
from tests.support import answers, findings, observed

HOT = fn.one_hot(labels(), 4).float()


def run(tmp_path, wanted, steps=4):
    def program():
        torch.manual_seed(0)
        x = inputs()
        train(net(), lambda m: fn.cross_entropy(m(x), wanted), steps=steps)

    return observed(program, tmp_path / "run.dx")


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        pytest.param(HOT * 0.9 + 0.1, "1.3 to 1.3", id="smoothing that adds"),
        pytest.param((HOT + HOT.roll(1, 1)), "2 to 2", id="two labels a row"),
        pytest.param(torch.linspace(-3, 3, 48).reshape(12, 4), "go down to -3", id="scores"),
    ],
)
def test_rows_that_do_not_sum_to_one_are_found(wanted, said, tmp_path):
    (finding,) = findings("L15", run(tmp_path, wanted))
    assert finding.severity == "fault"
    assert said in finding.text


@pytest.mark.parametrize(
    "wanted",
    [
        pytest.param(HOT, id="one-hot"),
        pytest.param(HOT * 0.9 + 0.025, id="smoothed"),
        pytest.param(torch.linspace(-3, 3, 48).reshape(12, 4).softmax(1), id="a teacher's shares"),
    ],
)
def test_shares_that_sum_to_one_are_silent(wanted, tmp_path):
    assert not answers("L15", run(tmp_path, wanted))


def test_rounding_of_half_precision_is_silent(tmp_path):
    assert not answers("L15", run(tmp_path, (HOT * 0.9 + 0.025).half().float() * 1.002))


def test_labels_are_no_shares(tmp_path):
    assert not answers("L15", run(tmp_path, labels()))
