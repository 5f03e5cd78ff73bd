import copy

import torch
import torch.nn.functional as F
from torch import nn

from tests.rules.loss.training import CLASSES, FEATURES, inputs, labels, net, train
from tests.support import answers, findings, observed


class Fresh(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(FEATURES, 8)

    def forward(self, x):
        x = torch.relu(self.first(x))
        last = nn.Linear(x.shape[1], CLASSES)
        return last(x)


class Lazy(Fresh):
    def __init__(self):
        super().__init__()
        self.last = nn.LazyLinear(CLASSES)

    def forward(self, x):
        return self.last(torch.relu(self.first(x)))


def fit(model, steps=6):
    train(model, lambda m: F.cross_entropy(m(inputs()), labels()), steps=steps)


def test_a_layer_made_in_forward_is_found_on_its_line(tmp_path):
    (finding,) = findings("A11", observed(lambda: fit(Fresh()), tmp_path / "run.dx"))
    assert finding.severity == "fault"
    assert finding.line.text == "last = nn.Linear(x.shape[1], CLASSES)"
    assert "2 of the 4 parameters" in finding.text
    assert "(4x8, 4)" in finding.text


def test_a_layer_made_in_init_is_silent(tmp_path):
    assert not answers("A11", observed(lambda: fit(net()), tmp_path / "run.dx"))


def test_a_lazy_layer_that_finds_its_size_in_the_first_forward_is_silent(tmp_path):
    assert not answers("A11", observed(lambda: fit(Lazy()), tmp_path / "run.dx"))


class Idle(Lazy):
    def forward(self, x):
        nn.Linear(FEATURES, CLASSES)
        return super().forward(x)


def test_a_layer_made_in_forward_that_no_loss_depends_on_is_silent(tmp_path):
    assert not answers("A11", observed(lambda: fit(Idle()), tmp_path / "run.dx"))


def test_new_models_fold_by_fold_are_silent(tmp_path):
    def program():
        for _ in range(4):
            fit(net(), steps=2)

    assert not answers("A11", observed(program, tmp_path / "run.dx"))


def test_a_copy_of_the_model_for_each_outer_step_is_silent(tmp_path):
    def program():
        model = net()
        outer = torch.optim.SGD(model.parameters(), lr=0.1)
        for number in range(6):
            inner = copy.deepcopy(model)
            F.cross_entropy(inner(inputs()), labels()).backward()
            for own, other in zip(model.parameters(), inner.parameters(), strict=True):
                own.grad = other.grad
            outer.step()
            if number == 3:
                Fresh()(inputs())

    assert not answers("A11", observed(program, tmp_path / "run.dx"))


def test_three_steps_show_too_few_new_layers(tmp_path):
    assert not answers("A11", observed(lambda: fit(Fresh(), 3), tmp_path / "few.dx"))
    assert answers("A11", observed(lambda: fit(Fresh(), 4), tmp_path / "enough.dx"))
