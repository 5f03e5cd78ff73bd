import pytest

from tests.rules.optimisation.runs import adam, run, sgd
from tests.support import answers, findings


def test_an_eps_above_every_second_moment_is_found(tmp_path):
    (finding,) = findings("O13", run(tmp_path, adam(0.003, eps=1.0)))
    assert finding.severity == "fault"
    assert "eps of 1" in finding.text
    assert finding.evidence[0].value == 1.0


def test_betas_that_are_exchanged_are_found(tmp_path):
    (finding,) = findings("O13", run(tmp_path, adam(0.003, betas=(0.999, 0.9))))
    assert "0.999 and 0.9" in finding.text


@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.5, 0.999), (0.0, 0.9), (0.9, 0.95)])
def test_usual_betas_are_silent(betas, tmp_path):
    assert not answers("O13", run(tmp_path, adam(0.003, betas=betas)))


def test_an_eps_under_most_second_moments_is_silent(tmp_path):
    assert not answers("O13", run(tmp_path, adam(0.003, eps=1e-4)))


def test_other_optimizers_have_no_such_settings(tmp_path):
    assert not answers("O13", run(tmp_path, sgd(0.05)))


def test_without_a_step_nothing_is_said(tmp_path):
    assert not answers("O13", run(tmp_path, adam(0.003, eps=1.0), steps=0))
