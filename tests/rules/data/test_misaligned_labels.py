import pytest
import torch

from tests.rules.data.records import made
from tests.rules.data.training import epochs, groups, run
from tests.support import findings

CHANCE = {"agreement": 0.26}


def test_labels_shuffled_apart_from_their_rows_are_found_by_what_comes_again(tmp_path):
    def program():
        x, y = groups()
        passes = [(x[torch.randperm(240)], y[torch.randperm(240)]) for _ in range(3)]
        epochs(torch.cat([x for x, _ in passes]), torch.cat([y for _, y in passes]), passes=1)

    (finding,) = findings("D04", run(program, tmp_path))
    assert finding.confidence == "strong"
    assert "rows that came again had another label" in finding.text
    assert "the nearest neighbours have the same label in" in finding.text
    assert "loss(model(x[rows]), y[rows])" in finding.line.text


def test_labels_that_go_with_their_rows_are_passed_over(tmp_path):
    assert not findings("D04", run(lambda: epochs(*groups()), tmp_path))


def test_labels_that_fit_when_moved_by_one_are_found():
    (finding,) = findings("D04", made(near=CHANCE | {"shift": -1, "shifted": 0.85}))
    assert "moved by 1 they agree in 85%" in finding.text


def test_judged_rows_that_agree_prove_that_nearness_can_tell():
    (finding,) = findings("D04", made(near=CHANCE, judged={"agreement": 0.7}))
    assert "of the rows that it is judged on, 70% of the neighbours agree" in finding.text


@pytest.mark.parametrize(("best", "found"), [(0.3, True), (0.4, False)])
def test_without_other_proof_held_out_answers_at_chance_are_a_weak_one(best, found):
    record = made(near=CHANCE, held_out=(0.25, best))
    assert [f.confidence for f in findings("D04", record)] == ["weak"] * found


def test_a_net_that_is_right_on_held_out_rows_clears_its_labels():
    record = made(near=CHANCE, judged={"agreement": 0.7}, held_out=(0.5, 0.8))
    assert not findings("D04", record)


def test_rows_strewn_in_many_dimensions_say_nothing():
    assert not findings("D04", made(near=CHANCE | {"closest": 0.7}, held_out=(0.25,)))


@pytest.mark.parametrize(("agreement", "found"), [(0.32, True), (0.34, False)])
def test_some_labels_may_fit(agreement, found):
    record = made(near={"agreement": agreement}, judged={"agreement": 0.9})
    assert bool(findings("D04", record)) is found


def test_few_rows_say_nothing():
    assert not findings("D04", made(near=CHANCE | {"rows": 150}, judged={"agreement": 0.9}))


def test_augmentation_that_tears_rows_apart_is_seen_in_their_moments():
    assert findings("D04", made(near=CHANCE, judged={"mean": 0.1}))
    assert not findings("D04", made(near=CHANCE, judged={"mean": 0.4}))
    assert not findings("D04", made(near=CHANCE, judged={"mean": 0.4}, held_out=(0.26,)))
    assert findings("D04", made(near=CHANCE, judged={"agreement": 0.26}, held_out=(0.26,)))


@pytest.mark.parametrize(("distinct", "found"), [(900, True), (980, False)])
def test_a_few_rows_that_are_equal_by_chance_prove_nothing(distinct, found):
    again = {"conflicts": 0.9, "distinct": distinct}
    assert bool(findings("D04", made(near=CHANCE, inputs=again))) is found


def test_values_that_are_learned_from_their_own_answers_change_by_themselves():
    again = {"conflicts": 0.9, "distinct": 500}
    moving = {"agreement": 0.02, "chance": 0.0, "shifted": 0.0, "numbers": True}
    assert not findings("D04", made(near=moving, inputs=again, targets={"loss": "values"}))
