import pytest

from tests.rules.optimisation.runs import adam, classify, run, sgd
from tests.support import answers, findings


def test_steps_that_break_the_loss_are_found_with_their_length(tmp_path):
    (finding,) = findings("O01", run(tmp_path, sgd(20.0, momentum=0.9)))
    assert finding.severity == "fault"
    assert "20" in finding.text
    assert finding.evidence[0].value >= 0.5
    assert "SGD" in finding.line.text or "sgd" in finding.line.text


def test_adam_at_a_thousandfold_rate_is_found(tmp_path):
    assert findings("O01", run(tmp_path, adam(3.0)))


@pytest.mark.parametrize("make", [sgd(0.05), sgd(0.05, momentum=0.9), adam(0.003)])
def test_rates_that_learn_are_silent(make, tmp_path):
    assert not answers("O01", run(tmp_path, make))


def test_a_long_first_step_after_which_the_loss_falls_is_silent(tmp_path):
    assert not answers("O01", classify(tmp_path, 1.6))


def test_one_step_shows_no_harm(tmp_path):
    assert not answers("O01", run(tmp_path, adam(3.0), steps=1))
