import pytest

from tests.rules.optimisation.runs import adam, run, sgd
from tests.support import answers, findings


@pytest.mark.parametrize("make", [sgd(0.05, weight_decay=1.0), adam(0.02, weight_decay=1.0)])
def test_decay_that_presses_the_weights_down_is_found(make, tmp_path):
    (finding,) = findings("O10", run(tmp_path, make, steps=150))
    assert finding.severity == "suspicion"
    assert "shrank to" in finding.text
    assert finding.evidence[1].value >= 0.1


@pytest.mark.parametrize("make", [sgd(0.05, weight_decay=1e-4), adam(0.003)])
def test_little_decay_or_none_is_silent(make, tmp_path):
    assert not answers("O10", run(tmp_path, make, steps=150))


def test_decay_while_the_loss_still_falls_is_silent(tmp_path):
    assert not answers("O10", run(tmp_path, sgd(0.02, weight_decay=0.03), steps=150))


def test_a_few_steps_tell_nothing(tmp_path):
    assert not answers("O10", run(tmp_path, sgd(0.05, weight_decay=1.0), steps=5))
