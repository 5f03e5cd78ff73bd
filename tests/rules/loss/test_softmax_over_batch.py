import pytest
import torch
from torch.nn import functional as fn

from tests.rules.loss.training import inputs, labels, net, train
from tests.support import answers, findings, observed


def run(loss, tmp_path, outputs=4):
    def program():
        torch.manual_seed(0)
        train(net(outputs), lambda m: loss(m(inputs())))

    return observed(program, tmp_path / "run.dx")


def test_a_log_softmax_over_the_rows_is_found_with_both_sizes(tmp_path):
    def loss(z):
        p = fn.log_softmax(z, dim=0)
        return fn.nll_loss(p, labels())

    (finding,) = findings("L06", run(loss, tmp_path))
    assert finding.severity == "fault"
    assert finding.line.text == "p = fn.log_softmax(z, dim=0)"
    assert "the 12 rows" in finding.text
    assert "the 4 classes" in finding.text


@pytest.mark.parametrize(
    "loss",
    [
        pytest.param(lambda z: fn.cross_entropy(torch.softmax(z, 0), labels()), id="cross-entropy"),
        pytest.param(
            lambda z: fn.nll_loss(torch.log(torch.softmax(z, 0)), labels()), id="log of softmax"
        ),
        pytest.param(
            lambda z: fn.binary_cross_entropy(torch.softmax(z, 0), torch.eye(4)[labels()]), id="bce"
        ),
        pytest.param(
            lambda z: fn.mse_loss(torch.softmax(z, 0), torch.eye(4)[labels()]), id="squares"
        ),
        pytest.param(
            lambda z: fn.nll_loss(fn.log_softmax(z.view(3, 4, 4), 0).view(12, 4), labels()),
            id="of sequences",
        ),
    ],
)
def test_it_is_found_before_every_loss_that_takes_rows(loss, tmp_path):
    assert findings("L06", run(loss, tmp_path))


def test_the_classes_dimension_is_silent(tmp_path):
    assert not answers("L06", run(lambda z: fn.nll_loss(fn.log_softmax(z, 1), labels()), tmp_path))


@pytest.mark.parametrize(
    "loss",
    [
        pytest.param(
            lambda z: fn.nll_loss(fn.log_softmax(z @ z.T, 0), torch.arange(12)), id="contrast"
        ),
        pytest.param(
            lambda z: fn.cross_entropy((z @ z.T).t(), torch.arange(12)), id="other side of contrast"
        ),
        pytest.param(
            lambda z: fn.nll_loss(fn.log_softmax(z.t(), 0).t(), labels()), id="classes first"
        ),
        pytest.param(
            lambda z: ((torch.softmax(z, 0) * z).sum(0) - 1).pow(2).mean(), id="pooling over a bag"
        ),
    ],
)
def test_softmaxes_over_the_first_dimension_on_purpose_are_silent(loss, tmp_path):
    assert not answers("L06", run(loss, tmp_path))


def test_a_run_without_a_backward_pass_is_silent(tmp_path):
    assert not answers("L06", observed(lambda: net()(inputs()), tmp_path / "run.dx"))
