import torch
from torch import nn
from torch.nn import functional as fn

from tests.rules.optimisation.runs import X, Y
from tests.support import answers, findings, observed


def run(tmp_path, rounds, *, steps=30):
    """Body and head with an optimizer each, stepped as `rounds` says."""

    def program():
        torch.manual_seed(0)
        body, head = nn.Linear(8, 6), nn.Linear(6, 1)
        first = torch.optim.SGD(body.parameters(), lr=0.05)
        second = torch.optim.SGD(head.parameters(), lr=0.05)
        for _ in range(steps):
            rounds(lambda: fn.mse_loss(head(body(X).tanh()), Y), first, second)

    return observed(program, tmp_path / "run.dx")


def twice(loss, first, second):
    first.zero_grad()
    second.zero_grad()
    loss().backward()
    second.step()
    second.step()


def in_turns(loss, first, second):
    second.zero_grad()
    loss().backward()
    second.step()
    first.zero_grad()
    loss().backward()
    second.step()


def both(loss, first, second):
    first.zero_grad()
    second.zero_grad()
    loss().backward()
    first.step()
    second.step()


def one_waits(loss, _first, second):
    second.zero_grad()
    loss().backward()
    second.step()


def one_forgotten(loss, first, second):
    first.zero_grad()
    second.zero_grad()
    loss().backward()
    second.step()


def test_an_optimizer_that_steps_twice_for_another_is_found(tmp_path):
    (finding,) = findings("O16", run(tmp_path, twice))
    assert finding.severity == "fault"
    assert finding.line.text == "second.step()"
    assert "optimizer 1 never stepped" in finding.text


def test_an_optimizer_that_steps_in_anothers_turn_is_found(tmp_path):
    assert findings("O16", run(tmp_path, in_turns))


def test_both_that_step_are_silent(tmp_path):
    assert not answers("O16", run(tmp_path, both))


def test_one_that_waits_without_being_cleared_is_silent(tmp_path):
    assert not answers("O16", run(tmp_path, one_waits))


def test_one_that_is_only_forgotten_is_another_rules_matter(tmp_path):
    assert not answers("O16", run(tmp_path, one_forgotten))


def test_a_few_rounds_tell_nothing(tmp_path):
    assert not answers("O16", run(tmp_path, twice, steps=5))
