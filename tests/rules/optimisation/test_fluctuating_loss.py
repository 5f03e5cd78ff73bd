import pytest

from tests.rules.optimisation.runs import bounded, classify
from tests.support import answers, findings


def test_a_loss_that_swings_at_a_long_step_is_found(tmp_path):
    (finding,) = findings("O17", classify(tmp_path, 1.2, noise=1.5))
    assert finding.severity == "suspicion"
    assert "swings by" in finding.text
    assert finding.excluded[0].code == "D08"


def test_a_rate_that_learns_is_silent(tmp_path):
    assert not answers("O17", classify(tmp_path, 0.05))


def test_a_long_step_after_which_the_loss_falls_on_is_silent(tmp_path):
    assert not answers("O17", classify(tmp_path, 0.8))


def test_a_few_steps_tell_nothing(tmp_path):
    assert not answers("O17", classify(tmp_path, 1.2, noise=1.5, steps=20))


@pytest.mark.parametrize(
    ("low", "high", "cause", "confidence"),
    [
        (0.8, 0.9, "against the curvature, 0.8 to 0.9 times what it bears (99%)", "strong"),
        (0.4, 0.9, "gradient noise or the curvature (0.4 to 0.9, 99%: not told apart)", "weak"),
        (0.1, 0.2, "the step size against gradient noise (SGD", "weak"),
    ],
    ids=["above", "across", "below"],
)
def test_the_cause_is_named_as_far_as_the_interval_of_the_curvature_tells(
    tmp_path, low, high, cause, confidence
):
    record = bounded(classify(tmp_path, 1.2, noise=1.5), low, high)
    (finding,) = findings("O17", record)
    assert cause in finding.text
    assert finding.confidence == confidence
    assert finding.evidence[-1].value == low
