import pytest
import torch
from torch.nn import functional as fn

from tests.rules.loss.training import inputs, labels, net, train
from tests.support import answers, findings, observed

HOT = fn.one_hot(labels(), 4).float()


def run(tmp_path, wanted, loss=fn.cross_entropy, steps=4):
    def program():
        torch.manual_seed(0)
        x = inputs()
        train(net(), lambda m: loss(m(x), wanted), steps=steps)

    return observed(program, tmp_path / "run.dx")


def test_rows_with_two_equal_labels_are_found(tmp_path):
    (finding,) = findings("L21", run(tmp_path, (HOT + HOT.roll(1, 1)) / 2))
    assert finding.severity == "fault"
    assert "100%" in finding.text


@pytest.mark.parametrize(
    "wanted",
    [
        pytest.param(HOT, id="one label"),
        pytest.param(HOT * 0.9 + 0.025, id="smoothed"),
        pytest.param(0.7 * HOT + 0.3 * HOT.roll(1, 0), id="mixed"),
    ],
)
def test_one_greatest_share_a_row_is_silent(wanted, tmp_path):
    assert not answers("L21", run(tmp_path, wanted))


def test_one_sigmoid_a_class_is_silent(tmp_path):
    loss = fn.binary_cross_entropy_with_logits
    assert not answers("L21", run(tmp_path, (HOT + HOT.roll(1, 1)), loss))


def test_a_tie_in_one_row_of_twelve_is_silent(tmp_path):
    wanted = HOT.clone()
    wanted[0] = torch.tensor([0.5, 0.5, 0, 0])
    assert not answers("L21", run(tmp_path, wanted))


def test_without_a_step_nothing_is_said(tmp_path):
    assert not answers("L21", run(tmp_path, (HOT + HOT.roll(1, 1)) / 2, steps=0))
