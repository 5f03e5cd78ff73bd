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


def target():
    return torch.softmax(torch.randn(len(inputs()), 4), 1)


@pytest.mark.parametrize(
    ("loss", "made"),
    [
        pytest.param(
            lambda z: fn.kl_div(torch.softmax(z / 3, 1), target(), reduction="batchmean") * 9,
            "the probabilities of a softmax",
            id="softmax",
        ),
        pytest.param(
            lambda z: torch.nn.KLDivLoss(reduction="sum")(torch.sigmoid(z), target()),
            "the probabilities of a sigmoid",
            id="module",
        ),
        pytest.param(
            lambda z: fn.kl_div(torch.softmax(z, 1), target().log(), log_target=True),
            "the probabilities of a softmax",
            id="log target",
        ),
        pytest.param(
            lambda z: fn.kl_div(z, target(), reduction="batchmean"), "raw scores", id="scores"
        ),
        pytest.param(
            lambda z: (
                fn.cross_entropy(z, labels())
                + fn.kl_div(torch.softmax(z, 1), target(), reduction="batchmean")
            ),
            "the probabilities of a softmax",
            id="one of two terms",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:reduction:UserWarning")
def test_a_divergence_of_no_logarithms_is_found(loss, made, tmp_path):
    (finding,) = findings("L05", run(loss, tmp_path))
    assert finding.severity == "fault"
    assert f"kl_div takes log-probabilities as its first argument, but is given {made}:" in (
        finding.text
    )
    assert "fn.kl_div" in finding.line.text or "KLDivLoss" in finding.line.text


@pytest.mark.parametrize(
    "loss",
    [
        pytest.param(lambda z: fn.kl_div(torch.log_softmax(z, 1), target()), id="plain"),
        pytest.param(
            lambda z: fn.kl_div(torch.log_softmax(z, 1), target().log(), log_target=True),
            id="log target",
        ),
        pytest.param(lambda z: fn.kl_div(torch.softmax(z, 1).log(), target()), id="log of softmax"),
        pytest.param(
            lambda z: fn.kl_div((torch.softmax(z, 1) + 1e-6).log(), target()), id="log of sum"
        ),
        pytest.param(
            lambda z: fn.kl_div(z - torch.logsumexp(z, 1, keepdim=True), target()), id="by hand"
        ),
        pytest.param(
            lambda z: fn.kl_div(torch.log_softmax(z[:4], 1), torch.softmax(z[4:8], 1)),
            id="target that is learned from",
        ),
        pytest.param(
            lambda z: fn.kl_div(
                torch.log_softmax(z[:4], 1), torch.log_softmax(z[4:8], 1), log_target=True
            ),
            id="log target that is learned from",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:reduction:UserWarning")
def test_divergences_of_logarithms_are_silent_in_every_form(loss, tmp_path):
    assert not answers("L05", run(loss, tmp_path))
