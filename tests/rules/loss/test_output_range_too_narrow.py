import pytest
import torch
from torch import nn
from torch.nn import functional as fn

from tests.rules.loss.training import inputs, net, train
from tests.support import answers, findings, observed


def run(tmp_path, wanted, *last, steps=4):
    def program():
        torch.manual_seed(0)
        x = inputs()
        train(net(1, *last), lambda m: fn.mse_loss(m(x), wanted), steps=steps)

    return observed(program, tmp_path / "run.dx")


WIDE = torch.linspace(-2, 2, 12)[:, None]


@pytest.mark.parametrize("last", [nn.Sigmoid, nn.Tanh, nn.ReLU])
def test_targets_out_of_reach_are_found_with_the_range(last, tmp_path):
    (finding,) = findings("L13", run(tmp_path, WIDE, last()))
    assert finding.severity == "fault"
    assert "targets run from -2 to 2" in finding.text


@pytest.mark.parametrize(
    ("wanted", "last"),
    [
        pytest.param(WIDE, (), id="linear head"),
        pytest.param(WIDE.sigmoid(), (nn.Sigmoid(),), id="targets within a sigmoid's range"),
        pytest.param(WIDE.abs(), (nn.ReLU(),), id="targets above zero under a ReLU"),
        pytest.param(WIDE / 2, (nn.Tanh(),), id="targets that just reach the bounds"),
    ],
)
def test_targets_within_reach_are_silent(wanted, last, tmp_path):
    assert not answers("L13", run(tmp_path, wanted, *last))


def test_targets_a_little_beyond_the_bound_are_silent(tmp_path):
    assert not answers("L13", run(tmp_path, 1.02 * WIDE / 2, nn.Tanh()))


def test_without_a_step_nothing_is_said(tmp_path):
    assert not answers("L13", run(tmp_path, WIDE, nn.Sigmoid(), steps=0))
