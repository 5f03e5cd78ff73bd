import pytest
import torch
import torch.nn.functional as F

from tests.rules.loss.training import inputs, labels, net
from tests.support import answers, findings, observed


def run(clear, steps=6, batches=1):
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for number in range(steps):
        clear(model, optimizer, number)
        for _ in range(batches):
            F.cross_entropy(model(inputs()), labels()).backward()
        optimizer.step()


def never(_model, _optimizer, _number):
    pass


def first_only(_model, optimizer, number):
    if number == 0:
        optimizer.zero_grad()


def by_optimizer(_model, optimizer, _number):
    optimizer.zero_grad(set_to_none=False)


def by_model(model, _optimizer, _number):
    model.zero_grad()


def by_none(model, _optimizer, _number):
    for parameter in model.parameters():
        parameter.grad = None


def by_hand(model, _optimizer, _number):
    for parameter in model.parameters():
        if parameter.grad is not None:
            parameter.grad.zero_()


@pytest.mark.parametrize("clear", [never, first_only])
def test_gradients_that_stay_over_steps_are_found(tmp_path, clear):
    (finding,) = findings("O04", observed(lambda: run(clear), tmp_path / "run.dx"))
    assert finding.severity == "fault"
    assert finding.line.text == "optimizer.step()"
    assert "4 of 4 gradients of the step before were still there" in finding.text
    assert "in 5 of 5 steps looked at" in finding.text
    assert finding.prescriptions[0].change == "zero_grad"


@pytest.mark.parametrize("clear", [by_optimizer, by_model, by_none, by_hand])
def test_gradients_cleared_in_whatever_way_are_silent(tmp_path, clear):
    assert not answers("O04", observed(lambda: run(clear), tmp_path / "run.dx"))


def test_accumulation_over_batches_that_is_cleared_after_the_step_is_silent(tmp_path):
    assert not answers("O04", observed(lambda: run(by_optimizer, batches=3), tmp_path / "run.dx"))


def test_a_second_net_whose_gradients_are_cleared_before_its_own_backward_is_silent(tmp_path):
    def program():
        made, judge = net(6), net(1)
        maker, judging = (torch.optim.SGD(m.parameters(), lr=0.01) for m in (made, judge))
        for _ in range(6):
            judging.zero_grad()
            judge(made(inputs()).detach()).mean().backward()
            judging.step()
            maker.zero_grad()
            (-judge(made(inputs())).mean()).backward()
            maker.step()

    assert not answers("O04", observed(program, tmp_path / "run.dx"))


def test_two_steps_with_gradients_left_over_are_too_few(tmp_path):
    assert not answers("O04", observed(lambda: run(never, 3), tmp_path / "few.dx"))
    assert answers("O04", observed(lambda: run(never, 5), tmp_path / "enough.dx"))
