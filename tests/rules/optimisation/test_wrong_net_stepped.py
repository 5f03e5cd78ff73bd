import pytest
import torch
from torch import nn
from torch.nn import functional as fn

from tests.rules.optimisation.runs import X, Y
from tests.support import answers, findings, observed
from torchdx.rules.ranking import diagnose


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


class Ascending(torch.optim.Optimizer):
    """Steps up, has gradients computed there, steps down from where it was (as SAM does)."""

    def __init__(self, parameters):
        super().__init__(parameters, {"rho": 0.05})
        self.base = torch.optim.SGD(self.param_groups, lr=0.05)
        self.param_groups = self.base.param_groups
        self.kept = []

    @torch.no_grad()
    def up(self):
        self.kept = [p.clone() for p in self.param_groups[0]["params"]]
        for parameter in self.param_groups[0]["params"]:
            parameter.add_(0.05 * parameter.grad)
        self.zero_grad()

    @torch.no_grad()
    def down(self):
        for parameter, kept in zip(self.param_groups[0]["params"], self.kept, strict=True):
            parameter.copy_(kept)
        self.base.step()
        self.zero_grad()


class LookingAhead(torch.optim.Optimizer):
    """Every fifth step of another optimizer goes half the way."""

    def __init__(self, parameters, base):
        super().__init__(parameters, {"share": 0.5})
        self.base, self.rounds = base, 0
        self.slow = [p.detach().clone() for p in self.param_groups[0]["params"]]

    @torch.no_grad()
    def advance(self):
        self.base.step()
        self.rounds += 1
        if self.rounds % 5 == 0:
            for slow, parameter in zip(self.slow, self.param_groups[0]["params"], strict=True):
                slow.lerp_(parameter, 0.5)
                parameter.copy_(slow)


def wrapped(tmp_path, wrap, rounds):
    def program():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, 1))
        optimizer = wrap(list(net.parameters()))
        for _ in range(60):
            rounds(lambda: fn.mse_loss(net(X), Y).backward(), optimizer)

    return observed(program, tmp_path / "run.dx")


def twice_differentiated(backward, optimizer):
    backward()
    optimizer.up()
    backward()
    optimizer.down()


def cleared_by_the_wrapper(backward, optimizer):
    optimizer.zero_grad()
    backward()
    optimizer.advance()


def looking_ahead(parameters):
    return LookingAhead(parameters, torch.optim.SGD(parameters, lr=0.05))


@pytest.mark.parametrize(
    ("wrap", "rounds"),
    [
        pytest.param(Ascending, twice_differentiated, id="two passes a step"),
        pytest.param(looking_ahead, cleared_by_the_wrapper, id="slow weights"),
    ],
)
def test_a_wrapper_of_the_optimizer_that_steps_its_parameters_is_silent(tmp_path, wrap, rounds):
    found = diagnose(wrapped(tmp_path, wrap, rounds)).findings
    assert not [f.code for f in found if f.severity == "fault"]


def test_parameters_that_only_the_waiting_one_holds_are_found_beside_shared_ones(tmp_path):
    def program():
        torch.manual_seed(0)
        body, head = nn.Linear(8, 6), nn.Linear(6, 1)
        first = torch.optim.SGD([*body.parameters(), *head.parameters()], lr=0.05)
        second = torch.optim.SGD(head.parameters(), lr=0.05)
        for _ in range(30):
            twice(lambda: fn.mse_loss(head(body(X).tanh()), Y), first, second)

    (finding,) = findings("O16", observed(program, tmp_path / "run.dx"))
    assert "2 parameters" in finding.text
