import torch

from tests.rules.data.records import made
from tests.rules.data.training import epochs, groups, run
from tests.support import findings

SAME = {"distinct": 1, "mean": 0.0, "std": 0.0, "min": 0.0, "max": 0.0, "power": None}
STILL = {"activation.std": ("0", [0.1] * 3), "row.spread": ("0", [1e-7] * 3)}


def test_rows_that_are_all_one_are_found_with_their_number(tmp_path):
    def program():
        x, y = groups()
        epochs(torch.zeros_like(x), y)

    (finding,) = findings("D03", run(program, tmp_path))
    assert finding.severity == "fault"
    assert "rows that the model learned from are the same (0 throughout)" in finding.text
    assert "take 4 different values" in finding.text
    assert "loss(model(x[rows]), y[rows])" in finding.line.text


def test_rows_that_differ_are_passed_over(tmp_path):
    assert not findings("D03", run(lambda: epochs(*groups()), tmp_path))


def test_one_row_that_differs_is_enough_to_pass_them_over():
    assert findings("D03", made(inputs=SAME, near=None, signals=STILL))
    assert not findings("D03", made(inputs=SAME | {"distinct": 2}, near=None, signals=STILL))


def test_a_fixed_input_with_a_fixed_target_is_meant():
    assert not findings("D03", made(inputs=SAME, near=None, targets={"distinct": 1}, signals=STILL))


def test_a_second_input_that_makes_rows_differ_is_seen_in_the_first_layer():
    moved = STILL | {"row.spread": ("0", [0.4] * 3)}
    assert not findings("D03", made(inputs=SAME, near=None, signals=moved))


def test_few_rows_say_nothing():
    assert not findings("D03", made(inputs=SAME | {"rows": 31}, near=None, signals=STILL))
