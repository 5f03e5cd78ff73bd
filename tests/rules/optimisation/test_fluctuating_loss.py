from tests.rules.optimisation.runs import classify
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
