import torch
import torch.nn.functional as F

from tests.rules.loss.training import inputs, labels, net
from tests.support import answers, findings, observed


def run(order, steps=4):
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for _ in range(steps):
        loss = F.cross_entropy(model(inputs()), labels())
        order(model, optimizer, loss)


def cleared_between(_model, optimizer, loss):
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()


def zeroed_between_by_the_model(model, optimizer, loss):
    loss.backward()
    model.zero_grad(set_to_none=False)
    optimizer.step()


def cleared_after(_model, optimizer, loss):
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()


def replaced(model, optimizer, loss):
    loss.backward()
    kept = [p.grad for p in model.parameters()]
    optimizer.zero_grad()
    for parameter, grad in zip(model.parameters(), kept, strict=True):
        parameter.grad = grad
    optimizer.step()


def test_a_zero_grad_between_backward_and_step_is_found_on_its_line(tmp_path):
    (finding,) = findings("O05", observed(lambda: run(cleared_between), tmp_path / "run.dx"))
    assert finding.severity == "fault"
    assert finding.line.text == "optimizer.zero_grad()"
    assert "at all 4 steps looked at, none of the 4 parameters of this SGD" in finding.text


def test_gradients_set_to_zeros_through_the_model_are_found_too(tmp_path):
    record = observed(lambda: run(zeroed_between_by_the_model), tmp_path / "run.dx")
    (finding,) = findings("O05", record)
    assert finding.line.text == "model.zero_grad(set_to_none=False)"


def test_a_zero_grad_behind_the_step_is_silent(tmp_path):
    assert not answers("O05", observed(lambda: run(cleared_after), tmp_path / "run.dx"))


def test_gradients_that_are_put_back_before_the_step_are_silent(tmp_path):
    assert not answers("O05", observed(lambda: run(replaced), tmp_path / "run.dx"))


def test_a_loss_without_a_path_to_the_weights_is_not_this(tmp_path):
    def program():
        model, other = net(), net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for _ in range(4):
            optimizer.zero_grad()
            F.cross_entropy(other(inputs()), labels()).backward()
            optimizer.step()

    assert not answers("O05", observed(program, tmp_path / "run.dx"))


def test_a_program_without_steps_says_nothing(tmp_path):
    program = lambda: F.cross_entropy(net()(inputs()), labels()).backward()  # noqa: E731
    assert not answers("O05", observed(program, tmp_path / "run.dx"))
