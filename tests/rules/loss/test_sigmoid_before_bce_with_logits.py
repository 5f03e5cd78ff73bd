import torch
from torch.nn import functional as fn

from tests.rules.loss.training import inputs, net, train
from tests.support import answers, findings, observed

QUARTER = torch.tensor([1.0, 0, 0, 0] * 3).unsqueeze(1)


def run(squash, tmp_path):
    def program():
        train(net(1), lambda m: fn.binary_cross_entropy_with_logits(squash(m(inputs())), QUARTER))

    return observed(program, tmp_path / "run.dx")


def test_a_sigmoid_before_bce_with_logits_is_found_with_the_floor_of_these_targets(tmp_path):
    (finding,) = findings("L03", run(torch.sigmoid, tmp_path))
    assert finding.severity == "fault"
    assert "squash(m(inputs()))" in finding.line.text
    assert "25% of the targets" in finding.text
    assert "cannot fall below 0.60" in finding.text  # 0.25 * 0.313 + 0.75 * 0.693


def test_a_softmax_before_it_is_found_too(tmp_path):
    def program():
        both = torch.cat([QUARTER, 1 - QUARTER], 1)
        train(
            net(2),
            lambda m: fn.binary_cross_entropy_with_logits(torch.softmax(m(inputs()), 1), both),
        )

    (finding,) = findings("L03", observed(program, tmp_path / "run.dx"))
    assert "go through a softmax" in finding.text


def test_scores_are_silent(tmp_path):
    assert not answers("L03", run(lambda z: z, tmp_path))


def test_a_rescaled_sigmoid_is_silent(tmp_path):
    assert not answers("L03", run(lambda z: torch.sigmoid(z) * 10 - 5, tmp_path))


def test_a_sigmoid_before_plain_bce_is_silent(tmp_path):
    def program():
        train(net(1), lambda m: fn.binary_cross_entropy(torch.sigmoid(m(inputs())), QUARTER))

    assert not answers("L03", observed(program, tmp_path / "run.dx"))


def test_a_run_without_a_backward_pass_is_silent(tmp_path):
    assert not answers("L03", observed(lambda: net()(inputs()), tmp_path / "run.dx"))
