import pytest

from tests.rules.optimisation.runs import adam, run, sgd
from tests.support import answers, findings


@pytest.mark.parametrize("make", [sgd(1e-5), adam(1e-6)])
def test_weights_that_hardly_move_are_found_with_their_way(make, tmp_path):
    (finding,) = findings("O02", run(tmp_path, make))
    assert finding.severity == "suspicion"
    assert "moved the weights by" in finding.text
    assert finding.evidence[0].value < 0.2


@pytest.mark.parametrize("make", [sgd(0.05), adam(0.003)])
def test_rates_that_learn_are_silent(make, tmp_path):
    assert not answers("O02", run(tmp_path, make))


def test_a_run_that_is_nearly_fitted_is_silent(tmp_path):
    assert not answers("O02", run(tmp_path, sgd(0.02), steps=300))


def test_a_few_steps_tell_nothing(tmp_path):
    assert not answers("O02", run(tmp_path, sgd(1e-5), steps=5))
