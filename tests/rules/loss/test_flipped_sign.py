import pytest
import torch
from torch import nn
from torch.nn import functional as fn

from tests.rules.loss.training import inputs, labels, net, train
from tests.support import answers, findings, observed


def run(tmp_path, loss, *, steps=30, rate=0.1):
    def program():
        torch.manual_seed(0)
        model, x = net(), inputs()
        optimizer = torch.optim.SGD(model.parameters(), lr=rate)
        train(model, lambda m: loss(m(x)), steps=steps, optimizer=optimizer)

    return observed(program, tmp_path / "run.dx")


def log_likelihood(z):
    return (z - z.logsumexp(1, keepdim=True)).gather(1, labels()[:, None]).mean()


@pytest.mark.parametrize(
    "loss",
    [
        pytest.param(lambda z: -fn.cross_entropy(z, labels()), id="negative cross-entropy"),
        pytest.param(lambda z: 3 - 2 * fn.cross_entropy(z, labels()), id="a difference"),
        pytest.param(log_likelihood, id="log-likelihood by hand"),
        pytest.param(
            lambda z: fn.log_softmax(z, 1).gather(1, labels()[:, None]).mean(), id="log-softmax"
        ),
    ],
)
def test_a_loss_that_is_maximised_is_found(loss, tmp_path):
    (finding,) = findings("L12", run(tmp_path, loss))
    assert finding.severity == "fault"
    assert "the loss is maximised" in finding.text
    assert finding.line is not None


@pytest.mark.parametrize(
    "loss",
    [
        pytest.param(lambda z: fn.cross_entropy(z, labels()), id="cross-entropy"),
        pytest.param(lambda z: -log_likelihood(z), id="minus the log-likelihood"),
        pytest.param(lambda z: fn.nll_loss(fn.log_softmax(z, 1), labels()), id="nll"),
    ],
)
def test_a_loss_that_is_minimised_is_silent(loss, tmp_path):
    assert not answers("L12", run(tmp_path, loss))


def test_a_generator_that_maximises_its_critics_loss_is_silent(tmp_path):
    def program():
        torch.manual_seed(0)
        maker, critic = nn.Linear(3, 6), nn.Linear(6, 1)
        optimizer = torch.optim.SGD(maker.parameters(), lr=0.1)
        for _ in range(30):
            optimizer.zero_grad()
            fake = torch.zeros(12, 1)
            score = critic(maker(torch.randn(12, 3)))
            (-fn.binary_cross_entropy_with_logits(score, fake)).backward()
            optimizer.step()

    assert not answers("L12", observed(program, tmp_path / "run.dx"))


def test_a_policy_gradient_weighted_by_its_advantage_is_silent(tmp_path):
    advantage = torch.linspace(-1, 1, 12)

    def loss(z):
        picked = fn.log_softmax(z, 1).gather(1, labels()[:, None])[:, 0]
        return (picked * advantage).mean()

    assert not answers("L12", run(tmp_path, loss))


def test_one_step_has_not_risen(tmp_path):
    assert not answers("L12", run(tmp_path, lambda z: -fn.cross_entropy(z, labels()), steps=1))
