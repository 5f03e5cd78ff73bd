import pytest
import torch

from tests.rules.data.records import made
from tests.rules.data.training import epochs, groups, run
from tests.support import findings

NOISY = {"agreement": 0.5, "sure": 0.7, "stray": 0.35}


def test_labels_of_which_a_part_was_dealt_out_are_found(tmp_path):
    def program():
        x, y = groups(rows=400)
        part = torch.rand(400) < 0.4
        y = torch.where(part, torch.randint(0, 4, (400,)), y)
        epochs(x, y, passes=4)

    (finding,) = findings("D05", run(program, tmp_path))
    assert finding.severity == "suspicion"
    assert finding.confidence == "weak"
    assert 0.25 < finding.evidence[0].value < 0.55
    assert "look dealt out at random: of 400 rows" in finding.text
    assert "loss(model(x[rows]), y[rows])" in finding.line.text


def test_clean_labels_are_passed_over(tmp_path):
    assert not findings("D05", run(lambda: epochs(*groups(rows=400), passes=4), tmp_path))


def test_judged_rows_that_are_clean_make_it_certain_enough():
    (finding,) = findings("D05", made(near=NOISY, judged={"stray": 0.02}))
    assert finding.confidence == "strong"
    assert "of the rows that the model is judged on, it is 2%" in finding.text


@pytest.mark.parametrize(("best", "found"), [(0.7, True), (0.8, False), (0.3, False)])
def test_a_model_that_is_more_often_right_than_they_allow_clears_them(best, found):
    assert bool(findings("D05", made(near=NOISY, held_out=(best,)))) is found


@pytest.mark.parametrize("near", [{"stray": 0.24}, {"sure": 0.3}, {"stray": None}])
def test_overlap_and_neighbours_that_cannot_tell_are_passed_over(near):
    assert not findings("D05", made(near=NOISY | near, judged={"stray": 0.0}))


def test_labels_that_change_during_the_run_are_dealt_out_on_purpose():
    record = made(near=NOISY, judged={"stray": 0.0}, inputs={"conflicts": 0.3})
    assert not findings("D05", record)


def test_too_few_rows_for_so_many_classes_say_nothing():
    assert not findings("D05", made(near=NOISY | {"rows": 80}, judged={"stray": 0.0}))


def test_a_judged_set_that_is_too_small_proves_nothing():
    assert not findings("D05", made(near=NOISY, judged={"stray": 0.0, "rows": 60}))


def test_two_large_classes_and_a_small_one_are_too_few_to_tell_noise_from_overlap():
    uneven = {"counts": [470.0, 480.0, 25.0, 25.0]}
    assert not findings("D05", made(near=NOISY, judged={"stray": 0.0}, targets=uneven))
