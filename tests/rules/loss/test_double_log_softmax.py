import torch
from torch.nn import functional as fn

from tests.rules.loss.training import inputs, labels, net, train
from tests.support import answers, findings, observed


def test_a_log_softmax_before_cross_entropy_is_a_harmless_note(tmp_path):
    def program():
        train(net(), lambda m: fn.cross_entropy(torch.log_softmax(m(inputs()), 1), labels()))

    (finding,) = findings("L02", observed(program, tmp_path / "run.dx"))
    assert finding.severity == "note"
    assert "the 4 scores" in finding.text
    assert "torch.log_softmax(m(inputs()), 1)" in finding.line.text


def test_nll_loss_on_a_log_softmax_is_silent(tmp_path):
    def program():
        train(net(), lambda m: fn.nll_loss(torch.log_softmax(m(inputs()), 1), labels()))

    assert not answers("L02", observed(program, tmp_path / "run.dx"))


def test_a_log_softmax_over_the_other_dimension_is_not_harmless_and_not_this(tmp_path):
    def program():
        train(net(), lambda m: fn.cross_entropy(torch.log_softmax(m(inputs()), 0), labels()))

    assert not answers("L02", observed(program, tmp_path / "run.dx"))


def test_log_probabilities_over_a_temperature_are_silent(tmp_path):
    def program():
        train(net(), lambda m: fn.cross_entropy(torch.log_softmax(m(inputs()), 1) / 2, labels()))

    assert not answers("L02", observed(program, tmp_path / "run.dx"))


def test_a_run_without_a_backward_pass_is_silent(tmp_path):
    assert not answers("L02", observed(lambda: net()(inputs()), tmp_path / "run.dx"))
