import pytest
import torch
from torch import nn
from torch.nn import functional as fn

from tests.rules.loss.training import inputs, labels, net, train
from tests.support import answers, findings, observed

HALF = torch.tensor([1.0, 0.0] * 6).unsqueeze(1)


def run(squash, tmp_path):
    def program():
        torch.manual_seed(0)
        train(net(), lambda m: fn.cross_entropy(squash(m(inputs())), labels()))

    return observed(program, tmp_path / "run.dx")


def test_a_relu_on_the_scores_is_found_at_its_line(tmp_path):
    def last(z):
        return torch.relu(z)

    (finding,) = findings("L14", run(last, tmp_path))
    assert finding.severity == "fault"
    assert finding.line.text == "return torch.relu(z)"
    assert "ReLU" in finding.text
    assert "below 0" in finding.text


def test_a_dropout_on_the_scores_is_found(tmp_path):
    (finding,) = findings("L14", run(nn.Dropout(0.5), tmp_path))
    assert finding.severity == "fault"
    assert "dropout" in finding.text
    assert finding.prescriptions[0].text == "move the dropout before the last layer"


@pytest.mark.parametrize(
    "squash", [fn.gelu, fn.silu, fn.elu, torch.tanh], ids=lambda function: function.__name__
)
def test_other_functions_that_bound_the_scores_are_found(squash, tmp_path):
    assert findings("L14", run(squash, tmp_path))


def test_a_relu_before_a_binary_loss_with_its_own_sigmoid_is_found(tmp_path):
    def program():
        torch.manual_seed(0)
        model = net(1, nn.ReLU())
        train(model, lambda m: fn.binary_cross_entropy_with_logits(m(inputs()), HALF))

    (finding,) = findings("L14", observed(program, tmp_path / "run.dx"))
    assert "binary cross-entropy" in finding.text


def test_scores_of_an_affine_layer_are_silent_with_relu_and_dropout_before_it(tmp_path):
    def program():
        model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 4))
        train(model, lambda m: fn.cross_entropy(m(inputs()), labels()))

    assert not answers("L14", observed(program, tmp_path / "run.dx"))


@pytest.mark.parametrize(
    "squash",
    [
        pytest.param(lambda z: 30 * torch.tanh(z / 30), id="capped scores"),
        pytest.param(fn.leaky_relu, id="leaky ReLU"),
        pytest.param(lambda z: torch.relu(z).unflatten(1, (2, 2)).mean(2), id="pooled"),
        pytest.param(lambda z: z * torch.tensor([1.0, 1.0, 0.0, 1.0]), id="masked classes"),
    ],
)
def test_scores_that_stay_free_or_are_bounded_on_purpose_are_silent(squash, tmp_path):
    def program():
        torch.manual_seed(0)
        train(net(), lambda m: fn.cross_entropy(squash(m(inputs())), labels(classes=2)))

    assert not answers("L14", observed(program, tmp_path / "run.dx"))


def test_a_relu_before_squared_errors_is_silent(tmp_path):
    def program():
        train(net(1, nn.ReLU()), lambda m: fn.mse_loss(m(inputs()), HALF))

    assert not answers("L14", observed(program, tmp_path / "run.dx"))


def test_a_run_without_a_backward_pass_is_silent(tmp_path):
    assert not answers("L14", observed(lambda: net()(inputs()), tmp_path / "run.dx"))
