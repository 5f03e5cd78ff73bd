import pytest
import torch
from torch.nn import functional as fn

from tests.rules.loss.training import inputs, net, train
from tests.support import answers, findings, observed

HALF = torch.tensor([1.0, 0.0] * 6).unsqueeze(1)


def run(squash, tmp_path, outputs=1):
    def program():
        torch.manual_seed(0)
        train(net(outputs), lambda m: fn.binary_cross_entropy(squash(m(inputs())), HALF))

    return observed(program, tmp_path / "run.dx")


def clamped(z):
    return z.clamp(1e-6, 1 - 1e-6)


def test_clamped_scores_are_found_at_the_clamp(tmp_path):
    (finding,) = findings("L04", run(clamped, tmp_path))
    assert finding.severity == "fault"
    assert finding.line.text == "return z.clamp(1e-6, 1 - 1e-6)"
    assert "clamped scores of a layer (1e-06 to" in finding.text
    assert finding.evidence[0].value == "Addmm"


def test_a_clamped_relu_is_found_too(tmp_path):
    assert findings("L04", run(lambda z: clamped(torch.relu(z)), tmp_path))


@pytest.mark.parametrize(
    "squash",
    [
        pytest.param(torch.sigmoid, id="sigmoid"),
        pytest.param(lambda z: clamped(torch.sigmoid(z)), id="clamped sigmoid"),
        pytest.param(lambda z: (torch.tanh(z) + 1) / 2, id="shifted tanh"),
        pytest.param(lambda z: 1 - torch.exp(-(z**2)), id="one minus exponential"),
        pytest.param(lambda z: (1 + torch.cos(z)) / 2, id="shifted cosine"),
    ],
)
def test_probabilities_by_construction_are_silent(squash, tmp_path):
    assert not answers("L04", run(squash, tmp_path))


def test_a_convex_mixture_of_probabilities_is_silent_although_a_product_makes_it(tmp_path):
    def mixture(z):
        return torch.sigmoid(z) @ torch.softmax(torch.ones(3, 1), 0)

    assert not answers("L04", run(mixture, tmp_path, outputs=3))


def test_a_run_without_a_backward_pass_is_silent(tmp_path):
    assert not answers("L04", observed(lambda: net()(inputs()), tmp_path / "run.dx"))
