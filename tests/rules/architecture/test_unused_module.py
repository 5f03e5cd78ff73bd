import torch
import torch.nn.functional as F
from torch import nn

from tests.rules.loss.training import CLASSES, FEATURES, inputs, labels, train
from tests.support import answers, findings, observed


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Sequential(nn.Linear(FEATURES, FEATURES), nn.ReLU())
        self.b = nn.Linear(FEATURES, FEATURES)

    def forward(self, x):
        out = self.a(x)
        out = self.b(x)
        return torch.relu(x + out)


class Wired(Block):
    def forward(self, x):
        return torch.relu(x + self.b(self.a(x)))


class Cut(Block):
    def forward(self, x):
        return torch.relu(x + self.b(self.a(x).detach()))


class Skipped(Block):
    def forward(self, x):
        return torch.relu(x + self.b(x))


def fit(block, steps=6, optimizer=None):
    model = nn.Sequential(block, nn.Linear(FEATURES, CLASSES))
    make = optimizer or (lambda m: torch.optim.SGD(m.parameters(), lr=0.01))
    loss = lambda m: F.cross_entropy(m(inputs()), labels())  # noqa: E731
    train(model, loss, steps=steps, optimizer=make(model))


def test_a_part_whose_output_is_overwritten_is_found_where_it_was_made(tmp_path):
    (finding,) = findings("A09", observed(lambda: fit(Block()), tmp_path / "run.dx"))
    assert finding.severity == "fault"
    assert finding.place == "0.a"
    assert finding.line.text.startswith("self.a = nn.Sequential(")
    assert "0.a (Sequential, 2 parameters) ran" in finding.text
    assert "none of 6 backward passes" in finding.text


def test_the_same_block_wired_up_is_silent(tmp_path):
    assert not answers("A09", observed(lambda: fit(Wired()), tmp_path / "run.dx"))


def test_a_part_behind_a_cut_is_left_to_the_rules_on_cuts(tmp_path):
    assert not answers("A09", observed(lambda: fit(Cut()), tmp_path / "run.dx"))


def test_a_part_that_is_never_called_is_a_note_and_only_after_many_passes(tmp_path):
    assert not answers("A09", observed(lambda: fit(Skipped(), 99), tmp_path / "short.dx"))
    (finding,) = findings("A09", observed(lambda: fit(Skipped(), 100), tmp_path / "long.dx"))
    assert finding.severity == "note"
    assert "was never called" in finding.text


def test_a_part_that_no_optimizer_holds_is_silent(tmp_path):
    def some(model):
        return torch.optim.SGD([*model[0].b.parameters(), *model[1].parameters()], lr=0.01)

    assert not answers("A09", observed(lambda: fit(Block(), 6, some), tmp_path / "run.dx"))


class Heads(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(FEATURES, CLASSES), nn.Linear(FEATURES, CLASSES)
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        both = self.left(x), self.right(x)
        return both[self.calls == 4]


def test_a_head_whose_turn_comes_at_the_fourth_step_is_silent(tmp_path):
    def program():
        train(Heads(), lambda m: F.cross_entropy(m(inputs()), labels()), steps=6)

    assert not answers("A09", observed(program, tmp_path / "run.dx"))


def test_a_second_output_that_the_loss_does_not_use_is_only_suspected(tmp_path):
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.main, self.aside = nn.Linear(FEATURES, CLASSES), nn.Linear(FEATURES, 3)

        def forward(self, x):
            return {"main": self.main(x), "aside": self.aside(x)}

    def program():
        train(Two(), lambda m: F.cross_entropy(m(inputs())["main"], labels()), steps=6)

    (finding,) = findings("A09", observed(program, tmp_path / "run.dx"))
    assert finding.severity == "suspicion"
    assert finding.place == "aside"


def test_two_steps_are_too_few_to_say_anything(tmp_path):
    assert not answers("A09", observed(lambda: fit(Block(), 2), tmp_path / "run.dx"))
