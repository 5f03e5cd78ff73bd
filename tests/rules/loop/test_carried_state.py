import torch
from torch import nn
from torch.nn import functional

from tests.rules.loop.pieces import LABELS, ROWS, net, sgd
from tests.support import answers, findings, observed


class Memory(nn.Module):
    def __init__(self):
        super().__init__()
        self.read, self.out = nn.Linear(6, 5), nn.Linear(5, 2)

    def forward(self, x, state):
        state = 0.5 * state + 0.5 * torch.tanh(self.read(x))
        return self.out(state), state


def run(tmp_path, *, cell=Memory, keep=True, detach=False, steps=9):
    def program():
        model, state = cell(), torch.zeros(24, 5)
        optimizer = sgd(model)
        for _ in range(steps):
            scores, state = model(ROWS, state)
            loss = functional.cross_entropy(scores, LABELS)
            optimizer.zero_grad()
            loss.backward(retain_graph=keep)
            optimizer.step()
            if detach:
                state = state.detach()

    return observed(program, tmp_path / "run.dx", fails=not (keep or detach))


def test_a_state_carried_with_its_history_is_found_by_the_growth_of_the_graph(tmp_path):
    (finding,) = findings("T05", run(tmp_path))
    assert finding.severity == "fault"
    assert finding.line.text == "loss.backward(retain_graph=keep)"
    grown, own = finding.evidence
    assert grown.value > 2 * grown.against
    assert 0 < own.value < grown.value
    assert f"from {grown.against} to {grown.value} operations" in finding.text


def test_the_error_in_the_second_backward_is_explained(tmp_path):
    (finding,) = findings("T05", run(tmp_path, keep=False))
    assert "backward failed (“second time”)" in finding.text
    assert finding.line.text == "loss.backward(retain_graph=keep)"


def test_a_state_cut_at_each_step_is_silent(tmp_path):
    assert answers("T05", run(tmp_path, detach=True)) == []


def test_sequences_of_rising_length_are_silent(tmp_path):
    def program():
        model = Memory()
        optimizer = sgd(model)
        for length in range(2, 30):
            state = torch.zeros(24, 5)
            for _ in range(length):
                scores, state = model(ROWS, state)
            optimizer.zero_grad()
            functional.cross_entropy(scores, LABELS).backward()
            optimizer.step()

    assert answers("T05", observed(program, tmp_path / "run.dx")) == []


def test_a_generator_reached_through_the_judge_of_a_step_before_is_silent(tmp_path):
    def program():
        make, judge = net(), nn.Linear(2, 2)
        first, second = sgd(make, 0.01), sgd(judge, 0.01)
        for _ in range(20):
            fake = make(ROWS)
            functional.cross_entropy(judge(fake.clone()), LABELS).backward(retain_graph=True)
            second.step()
            first.zero_grad()
            functional.cross_entropy(judge(fake), 1 - LABELS).backward()
            first.step()
            second.zero_grad()

    assert answers("T05", observed(program, tmp_path / "run.dx")) == []


def test_one_backward_is_too_little(tmp_path):
    assert answers("T05", run(tmp_path, steps=1)) == []


def test_a_state_carried_in_a_program_that_steps_by_itself_is_found(tmp_path):
    def program():
        model, state = Memory(), torch.zeros(24, 5)
        for _ in range(30):
            scores, state = model(ROWS, state)
            loss = functional.cross_entropy(scores, LABELS)
            model.zero_grad()
            loss.backward(retain_graph=True)
            with torch.no_grad():
                for parameter in model.out.parameters():
                    parameter.sub_(0.01 * parameter.grad)

    assert findings("T05", observed(program, tmp_path / "run.dx"))
