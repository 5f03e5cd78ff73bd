import pytest
from torch.nn import functional

from tests.rules.data.records import made
from tests.rules.data.training import epochs, groups, run
from tests.support import findings

UNITS = {"loss": "units", "op": "BinaryCrossEntropyWithLogits", "classes": 1, "counts": [9.0]}
SHIFTED = {"counts": [300.0, 310.0, 290.0, 0.0], "ignored": 300, "ignore_index": -1}


def yes(scores, wanted):
    return functional.binary_cross_entropy_with_logits(scores[:, 0], wanted)


def test_codes_of_two_and_four_in_a_binary_loss_are_found(tmp_path):
    def program():
        x, y = groups()
        epochs(x, (y % 2 * 2 + 2).float(), loss=yes, outputs=1, passes=1)

    (finding,) = findings("D07", run(program, tmp_path))
    assert finding.severity == "fault"
    assert "targets from 2 to 4 (2 different ones)" in finding.text
    assert "binary_cross_entropy_with_logits" in finding.line.text


def test_targets_of_zero_and_one_are_passed_over(tmp_path):
    def program():
        x, y = groups()
        epochs(x, (y % 2).float(), loss=yes, outputs=1, passes=1)

    assert not findings("D07", run(program, tmp_path))


def test_a_class_lost_to_ignore_index_is_found(tmp_path):
    def ignoring(scores, wanted):
        return functional.cross_entropy(scores, wanted - 1, ignore_index=-1)

    record = run(lambda: epochs(*groups(rows=400), loss=ignoring, passes=1), tmp_path)
    (finding,) = findings("D07", record)
    assert finding.severity == "suspicion"
    assert "label is -1 (`ignore_index`)" in finding.text
    assert "output 3 of 4 was never asked for" in finding.text


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"min": -1.0, "max": 1.0, "distinct": 2}, True),
        ({"min": -0.1, "max": 1.2, "distinct": 12, "whole": False}, False),
        ({"min": -2.5, "max": 3.1, "distinct": 15, "whole": False}, False),
        ({"min": 0.0, "max": 300.0, "distinct": 200}, False),
    ],
    ids=["minus one and one", "smoothed", "quantities", "counts"],
)
def test_only_codes_beyond_zero_and_one_count(asked, found):
    assert bool(findings("D07", made(targets=UNITS | asked))) is found


@pytest.mark.parametrize(
    "asked",
    [
        {"ignored": 0},
        {"ignored": 5000},
        {"ignore_index": -100},
        {"counts": [0.0, 300.0, 310.0, 290.0]},
        {"counts": [300.0, 0.0, 310.0, 0.0]},
    ],
    ids=["none ignored", "masked words", "a code far off", "the same end", "two unasked"],
)
def test_outputs_that_are_not_asked_for_are_no_fault_by_themselves(asked):
    assert findings("D07", made(targets=SHIFTED))
    assert not findings("D07", made(targets=SHIFTED | asked))


def test_few_rows_say_nothing():
    few = {"counts": [30.0, 31.0, 29.0, 0.0], "ignored": 30}
    assert not findings("D07", made(targets=SHIFTED | few))
