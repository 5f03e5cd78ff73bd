from tests.rules.optimisation.runs import adam, run, sgd
from tests.support import answers, findings


def test_gradients_that_are_always_cut_are_found_with_the_factor(tmp_path):
    (finding,) = findings("O15", run(tmp_path, sgd(0.05), clip=0.001))
    assert finding.severity == "suspicion"
    assert "100% of the steps" in finding.text
    assert "clip_grad_norm_" in finding.line.text


def test_a_limit_that_is_seldom_reached_is_silent(tmp_path):
    assert not answers("O15", run(tmp_path, sgd(0.05), clip=1.0))


def test_a_limit_just_under_the_norms_is_silent(tmp_path):
    assert not answers("O15", run(tmp_path, sgd(0.05), clip=0.6))


def test_adam_does_not_mind_a_factor(tmp_path):
    assert not answers("O15", run(tmp_path, adam(0.003), clip=0.001))


def test_a_few_steps_tell_nothing(tmp_path):
    assert not answers("O15", run(tmp_path, sgd(0.05), clip=0.001, steps=5))
