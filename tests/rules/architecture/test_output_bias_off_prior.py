import math

import torch
from torch import nn
from torch.nn import functional as fn

from tests.support import answers, findings, observed

GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(1_000, 6, generator=GENERATOR)
RARE = (X[:, 0] > 1.9).float()
EVEN = (X[:, 0] > 0).float()


def run(tmp_path, wanted, *, bias=None, rate=0.02, steps=60, weight=None):
    def program():
        torch.manual_seed(0)
        model = nn.Linear(6, 1)
        nn.init.normal_(model.weight, std=0.01)
        nn.init.constant_(model.bias, 0.0 if bias is None else bias)
        optimizer = torch.optim.SGD(model.parameters(), lr=rate)
        for step in range(steps):
            at = slice(50 * (step % 20), 50 * (step % 20) + 50)
            optimizer.zero_grad()
            scores = model(X[at])[:, 0]
            fn.binary_cross_entropy_with_logits(scores, wanted[at], pos_weight=weight).backward()
            optimizer.step()

    return observed(program, tmp_path / "run.dx")


def test_rare_labels_with_a_bias_of_zero_are_found_with_the_share_of_steps(tmp_path):
    (finding,) = findings("A14", run(tmp_path, RARE))
    assert finding.severity == "suspicion"
    assert "100% of the steps" in finding.text
    assert "binary_cross_entropy" in finding.line.text


def test_a_bias_at_the_prior_is_silent(tmp_path):
    share = float(RARE.mean())
    assert not answers("A14", run(tmp_path, RARE, bias=math.log(share / (1 - share))))


def test_even_classes_are_silent(tmp_path):
    assert not answers("A14", run(tmp_path, EVEN))


def test_a_rate_that_is_soon_over_it_is_silent(tmp_path):
    assert not answers("A14", run(tmp_path, RARE, rate=2.0, steps=200))


def test_weighted_positives_are_silent(tmp_path):
    assert not answers("A14", run(tmp_path, RARE, weight=torch.tensor(30.0)))


def test_few_steps_tell_nothing(tmp_path):
    assert not answers("A14", run(tmp_path, RARE, steps=3))
