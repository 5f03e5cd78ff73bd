import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.rules.loss.training import CLASSES, FEATURES, inputs, labels, train
from tests.support import answers, findings, observed


def fit(model, make_inputs=inputs):
    train(model, lambda m: F.cross_entropy(m(make_inputs()), labels()))


def images():
    return torch.randn(12, 2, 8, 8)


class Chain(nn.Module):
    def __init__(self, middle=8, between=nn.Identity):
        super().__init__()
        self.first = nn.Linear(FEATURES, 8)
        self.second = nn.Linear(8, middle)
        self.third = nn.Linear(middle, CLASSES)
        self.between = between()

    def forward(self, x):
        x = torch.relu(self.first(x))
        x = self.between(self.second(x))
        return self.third(x)


def test_a_pair_of_linear_layers_in_a_deeper_net_is_suspected_with_its_sizes(tmp_path):
    (finding,) = findings("A01", observed(lambda: fit(Chain()), tmp_path / "run.dx"))
    assert finding.severity == "suspicion"
    assert finding.place == "third"
    assert finding.line.text == "return self.third(x)"
    assert "third works on the output of second (8 to 8 to 4)" in finding.text


def test_dropout_between_the_layers_does_not_hide_them(tmp_path):
    program = lambda: fit(Chain(between=nn.Dropout))  # noqa: E731
    assert findings("A01", observed(program, tmp_path / "run.dx"))


def test_a_net_of_linear_layers_alone_is_a_fault(tmp_path):
    def program():
        fit(nn.Sequential(nn.Linear(FEATURES, 8), nn.Linear(8, 8), nn.Linear(8, CLASSES)))

    (finding,) = findings("A01", observed(program, tmp_path / "run.dx"))
    assert finding.severity == "fault"
    assert "the whole net is a linear model" in finding.text
    assert "2 pairs" in finding.text
    assert finding.line.text.startswith("fit(nn.Sequential(")


def test_convolutions_without_a_non_linearity_are_found(tmp_path):
    def program():
        head = [nn.ReLU(), nn.Flatten(), nn.Linear(4 * 16, CLASSES)]
        fit(nn.Sequential(nn.Conv2d(2, 4, 3), nn.Conv2d(4, 4, 3), *head), images)

    (finding,) = findings("A01", observed(program, tmp_path / "run.dx"))
    assert "(2 to 4 to 4)" in finding.text


@pytest.mark.parametrize("between", [nn.ReLU, nn.Tanh, lambda: nn.LayerNorm(8)])
def test_a_non_linear_function_or_a_normalisation_between_is_silent(tmp_path, between):
    assert not answers("A01", observed(lambda: fit(Chain(between=between)), tmp_path / "run.dx"))


class ByHand(nn.Module):
    def forward(self, x):
        return x * (x > 0)


def test_a_relu_written_as_a_product_with_a_mask_is_no_dropout(tmp_path):
    assert not answers("A01", observed(lambda: fit(Chain(between=ByHand)), tmp_path / "run.dx"))


def test_a_middle_narrower_than_both_sides_is_a_bottleneck_and_silent(tmp_path):
    narrow, wide = CLASSES - 1, CLASSES
    assert not answers("A01", observed(lambda: fit(Chain(narrow)), tmp_path / "narrow.dx"))
    assert answers("A01", observed(lambda: fit(Chain(wide)), tmp_path / "wide.dx"))


class Shared(Chain):
    def forward(self, x):
        code = self.second(torch.relu(self.first(x)))
        return self.third(code) * code.pow(2).mean()


def test_a_code_that_something_else_uses_too_is_silent(tmp_path):
    assert not answers("A01", observed(lambda: fit(Shared()), tmp_path / "run.dx"))


class Adapter(nn.Module):
    def __init__(self):
        super().__init__()
        self.base = nn.Linear(FEATURES, CLASSES)
        self.down, self.up = nn.Linear(FEATURES, 8), nn.Linear(8, CLASSES)

    def forward(self, x):
        return self.base(x) + 2 * self.up(self.down(x))


@pytest.mark.parametrize(
    "layers",
    [
        lambda: [nn.Conv2d(2, 8, 3, groups=2), nn.Conv2d(8, 8, 3)],
        lambda: [nn.Conv2d(2, 8, 3), nn.Conv2d(8, 8, 1)],
        lambda: [nn.Conv2d(2, 8, (1, 3)), nn.Conv2d(8, 8, (3, 1))],
        lambda: [nn.Conv2d(2, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3)],
    ],
)
def test_separable_and_projecting_convolutions_are_silent(tmp_path, layers):
    def program():
        head = [nn.ReLU(), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(8, CLASSES)]
        fit(nn.Sequential(*layers(), *head), images)

    assert not answers("A01", observed(program, tmp_path / "run.dx"))


def test_a_wide_adapter_beside_a_layer_is_silent(tmp_path):
    assert not answers("A01", observed(lambda: fit(Adapter()), tmp_path / "run.dx"))


def test_an_encoder_and_a_head_that_are_two_models_are_silent(tmp_path):
    def program():
        encoder, head = nn.Linear(FEATURES, 8), nn.Linear(8, CLASSES)
        optimizer = torch.optim.SGD([*encoder.parameters(), *head.parameters()], lr=0.01)
        train(encoder, lambda m: F.cross_entropy(head(m(inputs())), labels()), optimizer=optimizer)

    assert not answers("A01", observed(program, tmp_path / "run.dx"))


def test_one_linear_layer_alone_says_nothing(tmp_path):
    program = lambda: fit(nn.Linear(FEATURES, CLASSES))  # noqa: E731
    assert not answers("A01", observed(program, tmp_path / "run.dx"))
