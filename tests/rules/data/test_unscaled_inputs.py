import pytest
import torch

from tests.rules.data.records import made
from tests.rules.data.training import epochs, groups, run
from tests.support import findings

LARGE = {"mean": 40.0, "std": 60.0, "min": 0.0, "max": 255.0}
UNEVEN = {"mean": 1.0, "std": 4.0, "power": 900.0, "scales": [0.1, 0.5, 1.0, 2.0, 20.0]}
FLAT, FALLING = [1.4] * 40, [1.4] * 10 + [0.3] * 30


def table(inputs, *, losses=FLAT, pull=50.0, **targets):
    record = made(inputs=inputs, losses=losses, targets=targets)
    record.signals["activation.std"] = {place: [(1, 1.0)] for place in ("0", "1")}
    record.signals["gradient.norm"] = {"0.bias": [(step, 1.0) for step in range(1, 6)]}
    weight = [(step, pull * 20**0.5) for step in range(1, 6)]
    record.signals["gradient.norm"]["0.weight"] = weight
    return record


def test_columns_of_very_different_size_are_found_with_their_sizes(tmp_path):
    def program():
        x, y = groups()
        epochs(x * torch.tensor([1.0, 1.0, 300.0, 1.0, 1.0, 1.0]), y, lr=0.1)

    (finding,) = findings("D01", run(program, tmp_path))
    assert finding.severity == "fault"
    assert finding.confidence == "strong"
    assert "columns with deviations from" in finding.text
    assert "times as hard as its bias" in finding.text
    assert "loss(model(x[rows]), y[rows])" in finding.line.text


def test_scaled_columns_are_passed_over(tmp_path):
    assert not findings("D01", run(lambda: epochs(*groups(), lr=0.1), tmp_path))


@pytest.mark.parametrize("inputs", [LARGE, UNEVEN], ids=["large", "uneven"])
def test_without_harm_nothing_is_told(inputs):
    assert findings("D01", table(inputs))
    assert not findings("D01", table(inputs, losses=FALLING))


def test_a_first_answer_far_worse_than_a_guess_is_harm():
    (finding,) = findings("D01", table(LARGE, losses=FALLING, first={"loss": 9.0}))
    assert "the first answers cost 9, a guess that knows no input 1.39" in finding.text


def test_codes_of_words_are_no_sizes():
    assert not findings("D01", table(LARGE | {"dtype": "int64"}))


@pytest.mark.parametrize(
    "inputs",
    [
        LARGE | {"mean": 1.0, "std": 5.0},
        UNEVEN | {"power": 300.0},
        UNEVEN | {"shape": [1, 28, 28]},
        UNEVEN | {"columns": 64, "constant": 0.05},
    ],
    ids=["of size 5", "of even columns", "an image", "an image as a row"],
)
def test_moderate_sizes_and_images_are_passed_over(inputs):
    assert not findings("D01", table(inputs))


def test_uneven_columns_must_reach_the_first_layer():
    assert findings("D01", table(UNEVEN, pull=13.0))
    assert not findings("D01", table(UNEVEN, pull=11.0))


def test_a_constant_input_has_no_scale():
    assert not findings("D01", table(LARGE | {"std": 0.0}))


def test_a_norm_behind_the_first_layer_takes_the_scale_away():
    assert not findings("D01", table(LARGE, pull=1e6))
    without_bias = table(LARGE)
    del without_bias.signals["gradient.norm"]["0.bias"]
    assert findings("D01", without_bias)
    modules = [["0", "Linear"], ["1", "BatchNorm1d"]]
    model = {"e": "model", "id": 1, "cls": "Sequential", "params": [], "modules": modules}
    without_bias.apply(model)
    assert not findings("D01", without_bias)
