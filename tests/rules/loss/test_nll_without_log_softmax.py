import pytest
import torch
from torch.nn import functional as fn

from tests.rules.loss.training import inputs, labels, net, train
from tests.support import answers, findings, observed


def run(loss, tmp_path):
    def program():
        torch.manual_seed(0)
        train(net(), lambda m: loss(m(inputs())))

    return observed(program, tmp_path / "run.dx")


def test_raw_scores_are_found_at_the_line_of_the_loss(tmp_path):
    (finding,) = findings("L05", run(lambda z: fn.nll_loss(z, labels()), tmp_path))
    assert finding.severity == "fault"
    assert "raw scores of 4 classes" in finding.text
    assert "fn.nll_loss(z, labels())" in finding.line.text
    assert finding.evidence[1].value > 1  # log 4 = 1.4 for scores near 0


def test_probabilities_are_found_at_the_line_of_the_softmax(tmp_path):
    def loss(z):
        p = torch.softmax(z, dim=1)
        return fn.nll_loss(p, labels())

    (finding,) = findings("L05", run(loss, tmp_path))
    assert finding.line.text == "p = torch.softmax(z, dim=1)"
    assert "between -1 and 0" in finding.text


@pytest.mark.parametrize(
    "loss",
    [
        pytest.param(lambda z: fn.nll_loss(torch.log_softmax(z, 1), labels()), id="log-softmax"),
        pytest.param(
            lambda z: fn.nll_loss(torch.log(torch.softmax(z, 1) + 1e-8), labels()), id="log of sum"
        ),
        pytest.param(
            lambda z: fn.nll_loss(z - torch.logsumexp(z, 1, keepdim=True), labels()), id="by hand"
        ),
        pytest.param(lambda z: torch.logsumexp(z, 1).mean() + fn.nll_loss(z, labels()), id="apart"),
        pytest.param(
            lambda z: fn.nll_loss(
                (1 - torch.softmax(z, 1)) ** 2 * torch.log_softmax(z, 1), labels()
            ),
            id="focal",
        ),
    ],
)
def test_normalised_scores_are_silent_in_every_form(loss, tmp_path):
    assert not answers("L05", run(loss, tmp_path))


def test_a_run_without_a_backward_pass_is_silent(tmp_path):
    assert not answers("L05", observed(lambda: net()(inputs()), tmp_path / "run.dx"))
