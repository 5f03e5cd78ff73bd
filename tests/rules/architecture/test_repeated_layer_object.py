import torch
import torch.nn.functional as F
from torch import nn

from tests.rules.loss.training import CLASSES, FEATURES, inputs, labels, train
from tests.support import answers, findings, observed


class Tower(nn.Module):
    def __init__(self, blocks, used=3):
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.used = used
        self.head = nn.Linear(FEATURES, CLASSES)

    def forward(self, x):
        for block in self.blocks[: self.used]:
            x = torch.relu(block(x))
        return self.head(x)


def layer():
    return nn.Linear(FEATURES, FEATURES)


def fit(model):
    train(model, lambda m: F.cross_entropy(m(inputs()), labels()))


def test_one_layer_in_three_places_is_suspected_at_the_list(tmp_path):
    (finding,) = findings("A12", observed(lambda: fit(Tower([layer()] * 3)), tmp_path / "run.dx"))
    assert finding.severity == "suspicion"
    assert finding.confirm
    assert finding.place == "blocks"
    assert finding.line.text == "self.blocks = nn.ModuleList(blocks)"
    assert "holds one Linear 3 times: its 2 parameters stand for the 6 of 3" in finding.text


def test_three_layers_are_silent(tmp_path):
    program = lambda: fit(Tower([layer() for _ in range(3)]))  # noqa: E731
    assert not answers("A12", observed(program, tmp_path / "run.dx"))


def test_one_activation_in_several_places_is_silent(tmp_path):
    def program():
        act = nn.ReLU()
        fit(nn.Sequential(layer(), act, layer(), act, nn.Linear(FEATURES, CLASSES)))

    assert not answers("A12", observed(program, tmp_path / "run.dx"))


class Loop(nn.Module):
    def __init__(self):
        super().__init__()
        self.block, self.head = layer(), nn.Linear(FEATURES, CLASSES)

    def forward(self, x):
        for _ in range(3):
            x = torch.relu(self.block(x))
        return self.head(x)


def test_one_layer_that_is_applied_three_times_in_a_loop_is_silent(tmp_path):
    assert not answers("A12", observed(lambda: fit(Loop()), tmp_path / "run.dx"))


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(CLASSES, FEATURES)
        self.out = nn.Linear(FEATURES, CLASSES, bias=False)
        self.out.weight = self.embed.weight

    def forward(self, x):
        return self.out(torch.relu(self.embed(labels()) + x))


def test_an_embedding_tied_to_the_output_is_silent(tmp_path):
    assert not answers("A12", observed(lambda: fit(Tied()), tmp_path / "run.dx"))


def test_places_that_no_loss_passes_through_are_silent(tmp_path):
    program = lambda: fit(Tower([layer()] * 3, used=2))  # noqa: E731
    assert not answers("A12", observed(program, tmp_path / "run.dx"))


def test_a_model_that_is_never_trained_says_nothing(tmp_path):
    program = lambda: Tower([layer()] * 3)(inputs())  # noqa: E731
    assert not answers("A12", observed(program, tmp_path / "run.dx"))
