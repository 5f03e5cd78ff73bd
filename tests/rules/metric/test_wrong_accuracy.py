import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.support import answers, findings, observed

GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(60, 4, generator=GENERATOR)
YES = (X[:, 0] + 0.5 * torch.randn(60, generator=GENERATOR) > 0).long()
KIND = YES + (X[:, 1] > 0).long()


def run(judge, tmp_path, *, loss=functional.binary_cross_entropy_with_logits, outputs=1, tail=None):
    """Train a small net, judging it after each of a few steps; returns its record."""

    def program():
        torch.manual_seed(0)
        layers = [nn.Linear(4, outputs)] + ([] if tail is None else [tail])
        model = nn.Sequential(*layers)
        optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
        for _ in range(8):
            optimizer.zero_grad()
            wanted = KIND if outputs > 1 else YES.float().unsqueeze(1)
            loss(model(X), wanted).backward()
            optimizer.step()
            with torch.no_grad():
                judge(model(X))

    return observed(program, tmp_path / "run.dx")


def test_the_best_of_one_unit_is_no_accuracy(tmp_path):
    def judge(scores):
        return (scores.argmax(dim=1) == YES).float().mean().item()

    (finding,) = findings("M01", run(judge, tmp_path))
    assert finding.severity == "fault"
    assert "argmax along dimension 1 of answers of shape (60, 1)" in finding.text
    (shares,) = finding.evidence
    assert shares.value == pytest.approx(1 - YES.float().mean().item())
    assert shares.against > 0.8
    assert "scores.argmax(dim=1)" in finding.line.text


@pytest.mark.parametrize("cut", [lambda s: s > 0.5, lambda s: s.round(), lambda s: s.ge(0.5)])
def test_scores_are_no_probabilities(tmp_path, cut):
    def judge(scores):
        predicted = cut(scores.squeeze(1))
        return (predicted.float() == YES).float().mean().item()

    (finding,) = findings("M01", run(judge, tmp_path))
    assert "the border lies at 0" in finding.text
    assert finding.severity in {"fault", "suspicion"}
    assert finding.confidence in {"certain", "strong"}


def test_probabilities_are_all_above_zero(tmp_path):
    def judge(scores):
        return ((torch.sigmoid(scores) > 0).squeeze(1) == YES).float().mean().item()

    (finding,) = findings("M01", run(judge, tmp_path))
    assert "answered with yes" in finding.text


def test_argmax_over_the_rows_is_seen_when_it_is_compared(tmp_path):
    square = torch.randint(0, 60, (60,), generator=torch.Generator().manual_seed(3))

    def judge(scores):
        return (scores.argmax(0) == square).float().mean().item()

    def loss(scores, _):
        return functional.cross_entropy(scores, square)

    (finding,) = findings("M01", run(judge, tmp_path, loss=loss, outputs=60))
    assert "over the rows (dimension 0)" in finding.text


@pytest.mark.parametrize(
    "judge",
    [
        lambda s: ((s > 0).squeeze(1) == YES).float().mean(),
        lambda s: ((s.sigmoid() > 0.5).squeeze(1) == YES).float().mean(),
        lambda s: (torch.round(torch.sigmoid(s)).squeeze(1) == YES).float().mean(),
        lambda s: ((s > 0.8).squeeze(1) == YES).float().mean(),  # a border of the program's own
        lambda s: (s > 0.5).sum(),  # looked at, not compared with labels
    ],
    ids=["zero", "sigmoid", "rounded sigmoid", "own border", "count"],
)
def test_the_right_borders_are_left_alone(tmp_path, judge):
    assert answers("M01", run(judge, tmp_path)) == []


def test_probabilities_of_the_model_itself_are_cut_at_a_half(tmp_path):
    def judge(sure):
        return ((sure > 0.5).squeeze(1) == YES).float().mean().item()

    loss = functional.binary_cross_entropy
    assert answers("M01", run(judge, tmp_path, loss=loss, tail=nn.Sigmoid())) == []


def test_the_best_class_is_no_fault(tmp_path):
    def judge(scores):
        return (scores.max(1)[1] == KIND).float().mean().item()

    record = run(judge, tmp_path, loss=functional.cross_entropy, outputs=3)
    assert answers("M01", record) == []


def test_a_run_that_judges_nothing_is_not_judged(tmp_path):
    assert answers("M01", run(lambda _: None, tmp_path)) == []
