import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.rules.loss.training import CLASSES, FEATURES, ROWS, inputs, labels, net, train
from tests.support import findings, observed, unclear


def found(program, tmp_path):
    return findings("L19", observed(program, tmp_path / "run.dx"))


def by_hand(scale):
    """Cross-entropy as `log(softmax)`: 0 for a class whose score lies 104 below the best."""

    def program():
        torch.manual_seed(0)
        wanted = F.one_hot(labels(), CLASSES)
        train(net(), lambda m: -(torch.log(F.softmax(m(inputs()) * scale, 1)) * wanted).mean())

    return program


def test_the_logarithm_of_a_softmax_that_is_0_is_found(tmp_path):
    (finding,) = found(by_hand(2000), tmp_path)
    assert finding.severity == "fault"
    assert "the logarithm of 0 (Log, " in finding.text
    assert f"of {ROWS * CLASSES} elements" in finding.text
    assert "from the first step" in finding.text
    assert "torch.log(F.softmax" in finding.line.text
    assert "log_softmax" in finding.prescriptions[0].text


def test_the_same_with_log_softmax_is_healthy(tmp_path):
    def program():
        torch.manual_seed(0)
        wanted = F.one_hot(labels(), CLASSES)
        train(net(), lambda m: -(F.log_softmax(m(inputs()) * 2000, 1) * wanted).mean())

    assert found(program, tmp_path) == []


def test_the_logarithm_of_small_shares_is_on_the_right_side(tmp_path):
    assert found(by_hand(1), tmp_path) == []


def distance(epsilon):
    def program():
        torch.manual_seed(0)
        x = inputs()
        x[3] = x[4]  # a pair of equal rows

        def loss(model):
            h = model(x)
            apart = ((h[:-1] - h[1:]).pow(2).sum(1) + epsilon).sqrt()
            return (apart - 1).pow(2).mean()

        train(net(), loss)

    return program


def test_the_derivative_of_a_distance_of_0_is_found_in_backward(tmp_path):
    (finding,) = found(distance(0), tmp_path)
    assert finding.severity == "fault"
    assert "the derivative of the square root at 0 (Sqrt, 1 of 11 elements)" in finding.text
    assert "the gradient is not finite though the loss is" in finding.text
    assert ".sqrt()" in finding.line.text
    assert [e.value for e in finding.evidence if "parameters" in e.what] == [4]


def test_a_small_constant_inside_the_root_is_enough(tmp_path):
    assert found(distance(1e-12), tmp_path) == []


def test_where_hides_a_value_but_not_its_derivative(tmp_path):
    def program():
        torch.manual_seed(0)

        def loss(model):
            h = F.relu(model(inputs()))
            return torch.where(h > 0, torch.log(h), torch.zeros(())).pow(2).mean()

        model = net(CLASSES, nn.ReLU())
        train(model, loss)
        assert not any(p.isnan().any() for p in model.parameters())

    # ReLU's own mask drops the NaN: nothing is wrong with the weights
    assert found(program, tmp_path) == []

    def trapped():
        torch.manual_seed(0)

        def loss(model):
            h = model(inputs())
            share = h * (h > 0)
            return torch.where(h > 0, torch.log(share), torch.zeros(())).pow(2).mean()

        train(net(), loss)

    (tmp_path / "run.dx").unlink()
    (finding,) = found(trapped, tmp_path)
    assert finding.severity == "fault"
    assert "a mask hides the value from the loss, but not its derivative" in finding.text


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (lambda m: m(inputs())[labels() > 9].mean(), "the mean of no elements"),
        (
            lambda m: F.cross_entropy(m(inputs()), torch.full((ROWS,), -100)),
            "the mean of a loss over no labels",
        ),
        (lambda m: m(inputs()).div(torch.zeros(ROWS, 1)).mean(), "a division by 0"),
    ],
)
def test_other_undefined_operations_are_named(loss, words, tmp_path):
    (finding,) = found(lambda: train(net(), loss), tmp_path)
    assert words in finding.text
    assert finding.severity == "fault"


def test_an_exponential_that_overflows_from_a_calm_start_is_a_suspicion(tmp_path):
    def program():
        torch.manual_seed(0)
        train(net(), lambda m: torch.exp(m(inputs() * 1000)).mean())

    (finding,) = found(program, tmp_path)
    assert finding.severity == "suspicion"
    assert "the overflow of an exponential" in finding.text
    assert finding.confirm


def test_a_loss_that_grows_until_it_overflows_is_another_sickness(tmp_path):
    def program():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(FEATURES, 8), nn.Linear(8, 1))
        optimizer = torch.optim.SGD(model.parameters(), lr=2.0)
        x = inputs()
        train(model, lambda m: (m(x) - 3).pow(2).mean(), steps=40, optimizer=optimizer)

    record = observed(program, tmp_path / "run.dx")
    assert any(not math.isfinite(loss) for _, loss in record.losses)
    assert record.of("nonfinite")
    assert findings("L19", record) == []


def test_scores_driven_apart_by_the_step_size_are_only_a_suspicion(tmp_path):
    def program():
        torch.manual_seed(0)
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), lr=1000.0)
        wanted = F.one_hot(labels(), CLASSES)
        x = inputs()
        train(
            model,
            lambda m: -(torch.log(F.softmax(m(x), 1)) * wanted).mean(),
            steps=30,
            optimizer=optimizer,
        )

    (finding,) = found(program, tmp_path)
    assert finding.severity == "suspicion"
    assert "had grown before" in finding.text
    assert "learning rate" in finding.confirm


def test_a_causal_mask_of_infinities_is_healthy(tmp_path):
    def program():
        torch.manual_seed(0)
        later = torch.ones(ROWS, ROWS).triu(1).bool()

        def loss(model):
            h = model(inputs())
            seen = F.softmax((h @ h.T).masked_fill(later, -math.inf), -1) @ h
            return F.cross_entropy(seen, labels())

        train(net(), loss)

    assert found(program, tmp_path) == []


def test_an_operation_of_the_program_itself_leaves_it_unclear(tmp_path):
    class Broken(torch.autograd.Function):
        @staticmethod
        def forward(_, x):
            return x * 1

        @staticmethod
        def backward(_, gradient):
            return gradient / 0

    def program():
        train(net(), lambda m: F.cross_entropy(Broken.apply(m(inputs())), labels()))

    record = observed(program, tmp_path / "run.dx")
    assert findings("L19", record) == []
    (answer,) = unclear("L19", record)
    assert "no operation with a known singular point" in answer.because


def test_a_healthy_run_is_not_unclear(tmp_path):
    record = observed(
        lambda: train(net(), lambda m: F.cross_entropy(m(inputs()), labels())), tmp_path / "run.dx"
    )
    assert unclear("L19", record) == []
