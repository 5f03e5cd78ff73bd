import pytest
import torch
from torch.nn import functional

from tests.rules.loop.pieces import LABELS, ROWS, net, sgd, step
from tests.support import answers, findings, observed


def test_steps_without_any_backward_are_found(tmp_path):
    def program():
        model = net()
        optimizer = sgd(model)
        for _ in range(4):
            optimizer.zero_grad()
            functional.cross_entropy(model(ROWS), LABELS)
            optimizer.step()

    (finding,) = findings("T01", observed(program, tmp_path / "run.dx"))
    assert finding.severity == "fault"
    assert "stepped 4 times and backward was never called: none of its 4" in finding.text
    assert finding.line.text == "optimizer.step()"


@pytest.mark.parametrize("forced", [True, False])
def test_a_training_forward_under_no_grad_is_found(forced, tmp_path):
    @torch.no_grad()
    def loss_of(model):
        return functional.cross_entropy(model(ROWS), LABELS)

    def program():
        model = net(dropout=0.1)
        optimizer = sgd(model)
        for _ in range(3):
            loss = loss_of(model)
            if forced:
                loss.requires_grad_()
            loss.backward()
            optimizer.step()

    (finding,) = findings("T01", observed(program, tmp_path / "run.dx", fails=not forced))
    assert finding.severity == "fault"
    assert finding.line.text == "return functional.cross_entropy(model(ROWS), LABELS)"
    assert "gradients switched off" in finding.text


def test_an_ordinary_loop_is_silent(tmp_path):
    def program():
        model = net()
        optimizer = sgd(model)
        with torch.no_grad():
            model(ROWS)
        for _ in range(4):
            step(model, optimizer)

    assert answers("T01", observed(program, tmp_path / "run.dx")) == []


def test_gradients_that_the_program_sets_itself_are_silent(tmp_path):
    def program():
        first, second = net(), net()
        one, other = sgd(first), sgd(second)
        for _ in range(4):
            loss = functional.cross_entropy(first(ROWS), LABELS)
            wanted = list(first.parameters())
            for p, g in zip(wanted, torch.autograd.grad(loss, wanted), strict=True):
                p.grad = g
            for p in second.parameters():
                p.grad = torch.randn_like(p)  # evolution strategies
            one.step()
            other.step()

    assert answers("T01", observed(program, tmp_path / "run.dx")) == []


def test_a_loss_made_anew_after_a_forward_with_gradients_is_another_fault(tmp_path):
    def program():
        model = net()
        optimizer = sgd(model)
        with torch.no_grad():
            model(ROWS)
        for _ in range(3):
            loss = torch.tensor(
                functional.cross_entropy(model(ROWS), LABELS).item(), requires_grad=True
            )
            loss.backward()
            optimizer.step()

    assert answers("T01", observed(program, tmp_path / "run.dx")) == []


def test_one_dry_step_is_too_little(tmp_path):
    def program():
        sgd(net()).step()

    assert answers("T01", observed(program, tmp_path / "run.dx")) == []
