import pytest
import torch
from torch import nn
from torch.nn import functional as fn

from tests.rules.loss.training import inputs, net, train
from tests.support import answers, findings, observed

HALF = torch.tensor([1.0, 0.0] * 6).unsqueeze(1)


def run(loss, tmp_path, model=None):
    def program():
        torch.manual_seed(0)
        train(model or net(1), lambda m: loss(m(inputs())))

    return observed(program, tmp_path / "run.dx")


def test_the_softmax_of_one_unit_is_found_with_its_constant(tmp_path):
    def loss(z):
        p = torch.softmax(z, dim=1)
        return fn.binary_cross_entropy(p, HALF)

    (finding,) = findings("L07", run(loss, tmp_path))
    assert finding.severity == "fault"
    assert finding.line.text == "p = torch.softmax(z, dim=1)"
    assert "answers 1 for every row" in finding.text


@pytest.mark.parametrize(
    "loss",
    [
        pytest.param(lambda z: fn.cross_entropy(z, torch.zeros(12).long()), id="cross-entropy"),
        pytest.param(lambda z: fn.mse_loss(torch.softmax(z, 1), HALF), id="squares"),
        pytest.param(lambda z: ((torch.softmax(z, 1) - HALF) ** 2).mean(), id="squares by hand"),
        pytest.param(
            lambda z: fn.binary_cross_entropy(torch.softmax(z, 1).squeeze(1), HALF[:, 0]), id="flat"
        ),
    ],
)
def test_it_is_found_before_every_loss(loss, tmp_path):
    assert findings("L07", run(loss, tmp_path))


def test_a_sigmoid_is_silent(tmp_path):
    assert not answers(
        "L07", run(lambda z: fn.binary_cross_entropy(torch.sigmoid(z), HALF), tmp_path)
    )


def test_two_units_are_silent(tmp_path):
    def loss(z):
        return fn.binary_cross_entropy(torch.softmax(z, 1)[:, :1], HALF)

    assert not answers("L07", run(loss, tmp_path, net(2)))


def test_attention_over_a_single_position_is_silent(tmp_path):
    class OnePosition(nn.Module):
        def __init__(self):
            super().__init__()
            self.score, self.value = nn.Linear(6, 1), nn.Linear(6, 1)

        def forward(self, x):
            weight = torch.softmax(self.score(x), dim=1)
            return weight * self.value(x)

    assert not answers("L07", run(lambda z: fn.mse_loss(z, HALF), tmp_path, OnePosition()))


def test_a_run_without_a_backward_pass_is_silent(tmp_path):
    assert not answers("L07", observed(lambda: net()(inputs()), tmp_path / "run.dx"))
