import math

import pytest
import torch
from torch import nn
from torch.nn import functional as fn

from tests.rules.loss.training import inputs, labels, net, train
from tests.support import answers, findings, observed


class Probabilities(nn.Module):
    def __init__(self, squash):
        super().__init__()
        self.inner, self.squash = net(10), squash

    def forward(self, x):
        return self.squash(self.inner(x))


def softmax(scores):
    return torch.softmax(scores, dim=1)


def sick():
    train(Probabilities(softmax), lambda m: fn.cross_entropy(m(inputs()), labels()))


def test_a_softmax_before_cross_entropy_is_found_with_its_line_and_the_floor(tmp_path):
    (finding,) = findings("L01", observed(sick, tmp_path / "run.dx"))
    assert finding.severity == "fault"
    assert finding.place == "loss"
    assert finding.line.text == "return torch.softmax(scores, dim=1)"
    assert "twice to the 10 scores" in finding.text
    assert f"{math.log(1 + 9 / math.e):.2f}" in finding.text


def test_it_is_found_with_soft_targets_which_torch_computes_without_nll_loss(tmp_path):
    soft = torch.full((12, 10), 0.1)

    def program():
        train(Probabilities(softmax), lambda m: fn.cross_entropy(m(inputs()), soft))

    assert findings("L01", observed(program, tmp_path / "run.dx"))


def test_a_sigmoid_before_cross_entropy_is_told_as_such(tmp_path):
    def program():
        train(Probabilities(torch.sigmoid), lambda m: fn.cross_entropy(m(inputs()), labels()))

    (finding,) = findings("L01", observed(program, tmp_path / "run.dx"))
    assert "go through a sigmoid" in finding.text


def test_cross_entropy_on_scores_is_silent(tmp_path):
    def program():
        train(net(), lambda m: fn.cross_entropy(m(inputs()), labels()))

    assert not answers("L01", observed(program, tmp_path / "run.dx"))


@pytest.mark.parametrize(
    "loss",
    [
        pytest.param(
            lambda z: fn.cross_entropy(torch.softmax(z, 1) * 20, labels()), id="scaled on purpose"
        ),
        pytest.param(
            lambda z: fn.nll_loss(torch.log(torch.softmax(z, 1)), labels()), id="log of softmax"
        ),
        pytest.param(
            lambda z: -(torch.softmax(z, 1) * torch.log_softmax(z, 1)).sum(1).mean(), id="entropy"
        ),
        pytest.param(
            lambda z: fn.kl_div(
                torch.log_softmax(z / 2, 1), torch.softmax(z.detach() + 1, 1), reduction="batchmean"
            ),
            id="distillation",
        ),
        pytest.param(
            lambda z: fn.cross_entropy(torch.softmax(z, 1) @ torch.eye(4), labels()), id="mixture"
        ),
    ],
)
def test_programs_with_both_operations_but_not_one_on_the_other_are_silent(loss, tmp_path):
    def program():
        train(net(), lambda m: loss(m(inputs())))

    assert not answers("L01", observed(program, tmp_path / "run.dx"))


def test_a_run_without_a_backward_pass_is_silent(tmp_path):
    assert not answers("L01", observed(lambda: net()(inputs()), tmp_path / "run.dx"))
