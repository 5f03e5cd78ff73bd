import math

import pytest
import torch
from torch.nn import functional

from tests.rules.data.records import made
from tests.rules.data.training import epochs, groups, run
from tests.support import findings

ASKED = {"loss": "units", "classes": 1, "counts": [100.0], "distinct": 2}
NEAR = {"agreement": 0.95, "chance": 0.82, "deviation": 0.01}


def yes(scores, wanted):
    return functional.binary_cross_entropy_with_logits(scores[:, 0], wanted)


def rare(named, *, share=0.1, right=None, near=NEAR, rows=50.0, loss=1.0):
    right = 1 - share if right is None else right
    guess = -share * math.log(share) - (1 - share) * math.log(1 - share)
    signals = {
        "prediction.top_share": ("1", [0.6] * 30 + [1 - named] * 10),
        "prediction.accuracy": ("1", [0.5] * 30 + [right] * 10),
        "batch.rows": ("1", [rows] * 40),
        "loss.head": ("1", [loss * guess] * 40),
    }
    asked = ASKED | {"counts": [1000 * share]}
    return made(inputs={"loss": "units"}, near=near, targets=asked, signals=signals)


def test_a_net_that_names_the_rare_class_is_passed_over(tmp_path):
    def program():
        x, y = groups(classes=10, rows=400)
        weight = torch.tensor(9.0)

        def weighted(scores, wanted):
            entropy = functional.binary_cross_entropy_with_logits
            return entropy(scores[:, 0], wanted, pos_weight=weight)

        epochs(x, (y == 3).float(), loss=weighted, outputs=1, passes=4)

    assert not findings("D06", run(program, tmp_path))


@pytest.mark.parametrize(("named", "found"), [(0.009, True), (0.011, False)])
def test_naming_the_rest_ten_times_less_often_than_asked_is_the_limit(named, found):
    assert bool(findings("D06", rare(named))) is found


def test_one_sided_answers_to_balanced_labels_are_another_sickness():
    assert findings("D06", rare(0.0, share=0.24))
    assert not findings("D06", rare(0.0, share=0.26))


def test_right_answers_that_differ_from_the_share_mean_another_class():
    assert not findings("D06", rare(0.0, right=0.1))


def test_too_few_rows_of_the_rest_say_nothing():
    assert not findings("D06", rare(0.0, rows=8.0))


def test_it_is_weaker_where_neighbours_cannot_tell_the_classes():
    (finding,) = findings("D06", rare(0.0, near=NEAR | {"agreement": 0.82}))
    assert finding.confidence == "weak"
    assert [f.confidence for f in findings("D06", rare(0.0))] == ["strong"]


@pytest.mark.parametrize(("loss", "found"), [(0.8, False), (0.9, True), (1.1, True), (1.3, False)])
def test_its_loss_is_that_of_a_guess(loss, found):
    assert bool(findings("D06", rare(0.0, loss=loss))) is found
