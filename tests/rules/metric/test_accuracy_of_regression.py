import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.support import answers, findings, observed

X = torch.randn(80, 4, generator=torch.Generator().manual_seed(0))
NUMBERS = X @ torch.tensor([[1.0], [-2.0], [0.5], [0.0]]) + 0.3
STARS = NUMBERS.round().clamp(-2, 2)


def run(judge, tmp_path, wanted=NUMBERS, loss=functional.mse_loss):
    def program():
        torch.manual_seed(0)
        model = nn.Linear(4, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
        for _ in range(10):
            optimizer.zero_grad()
            loss(model(X), wanted).backward()
            optimizer.step()
            with torch.no_grad():
                judge(model(X), wanted)

    return observed(program, tmp_path / "run.dx")


def exactly(predicted, wanted):
    return (predicted == wanted).float().mean().item()


def in_dollars(predicted, wanted):
    prices, targets = predicted * 9.2 + 22.5, wanted * 9.2 + 22.5
    return (prices.round() == targets.round()).float().mean().item()


@pytest.mark.parametrize("loss", [functional.mse_loss, functional.smooth_l1_loss])
def test_numbers_are_not_right_by_being_equal(tmp_path, loss):
    (finding,) = findings("M03", run(exactly, tmp_path, loss=loss))
    assert finding.severity == "fault"
    assert "0.0000 of 80 do" in finding.text
    assert finding.evidence[1].value > 0.5
    assert "predicted == wanted" in finding.line.text


def test_nor_by_being_equal_after_rounding_in_another_unit(tmp_path):
    (finding,) = findings("M03", run(in_dollars, tmp_path))
    assert "equal the target after rounding" in finding.text


def test_ratings_may_be_met_by_rounded_answers(tmp_path):
    def judge(predicted, wanted):
        return (predicted.round() == wanted).float().mean().item()

    assert answers("M03", run(judge, tmp_path, STARS)) == []


def test_classes_in_disguise_are_passed_over(tmp_path):
    assert answers("M03", run(exactly, tmp_path, (STARS - 0.1) / 1.3)) == []


def test_a_tolerance_is_a_sound_measure(tmp_path):
    def judge(predicted, wanted):
        return ((predicted - wanted).abs() < 0.1).float().mean().item(), (predicted == 0).sum()

    assert answers("M03", run(judge, tmp_path)) == []
