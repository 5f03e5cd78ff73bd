import numpy as np
import pytest

from tests.lab.studies.kinds import ALL_THREE, words
from torchdx.lab.rows import Rows
from torchdx.lab.statistics import judge
from torchdx.lab.studies import schedules
from torchdx.lab.studies.schedules import STUDY, VALUES, looked_up

CLAIMS = {claim.name: claim for claim in STUDY.claims}


def split(phases, kind="float32", **told):
    return {"kind": "split", "phases": phases, "type": kind, "accepted": 1.0, **told}


@pytest.mark.parametrize(
    ("name", "column"),
    [("one-step-more-crashes", "crashed_once_more"), ("training-itself-stays-below", "crashed")],
)
def test_trainings_that_crash_are_counted(name, column):
    assert words(CLAIMS[name], lambda v: [{"kind": "training", column: v}]) == ALL_THREE


def test_splits_without_an_answer_are_those_that_break():
    claim = CLAIMS["breaks-at-the-end"]
    assert words(claim, lambda v: [split(2, answers=1 - v)]) == ALL_THREE


def test_splits_that_answer_are_what_rounding_saves():
    assert words(CLAIMS["rounding-saves-it"], lambda v: [split(2, answers=v)]) == ALL_THREE


def test_splits_that_the_function_itself_refuses_are_left_out():
    rows = [split(3, answers=0.0), split(3, answers=1.0) | {"accepted": 0.0}]
    assert CLAIMS["rounding-saves-it"].statistic(Rows.of(rows)) == 0


def test_splits_that_pass_the_check_are_counted_from_three_phases_on():
    claim = CLAIMS["sum-check-accepts"]
    rows = words(claim, lambda v: [split(2) | {"accepted": 0.0}, split(3) | {"accepted": v}])
    assert rows == ALL_THREE


def test_the_largest_jump_and_the_worst_end_are_judged():
    jump = CLAIMS["joined-smoothly"]
    assert words(jump, lambda v: [split(2, "float64", jump=j) for j in (0.0, abs(v))]) == ALL_THREE
    end = CLAIMS["own-schedule-ends-right"]
    assert words(end, lambda v: [split(2, end=0.0), split(3, end=-v)]) == ALL_THREE


@pytest.mark.parametrize(
    ("name", "phases", "other"),
    [("patch-mends-two-phases", 2, 3), ("patch-mends-more-phases", 4, 2)],
)
def test_splits_that_the_patch_draws_right_are_counted(name, phases, other):
    def rows(wrong):
        errors = np.r_[np.ones(wrong), np.zeros(4 - wrong)]
        beside = [split(other, patch_error=float(wrong == 0))]
        return beside + [split(phases, patch_error=e) for e in errors.tolist()]

    def word(wrong):
        listed = [{"seed": s, **row} for s, w in enumerate(wrong) for row in rows(w)]
        return judge(CLAIMS[name], Rows.of(listed)).word

    assert word([0] * 5) == "reproduced"
    assert word([2] * 5) == "not reproduced"
    assert word([0, 1, 0, 1, 0]) == "inconclusive"


def test_the_lessons_function_answers_everywhere_but_at_its_end():
    published = looked_up((0.3, 0.7), "float32")
    assert published(0.3) == pytest.approx(VALUES[1])
    assert published(0.999999) == pytest.approx(VALUES[2])
    with pytest.raises(IndexError):
        published(1.0)
    assert looked_up((0.3, 0.7), "float32", patch=True)(1.0) == pytest.approx(VALUES[2])


def test_a_run_gives_every_claim_its_columns_and_controls_come_out_null(monkeypatch):
    monkeypatch.setattr(schedules, "SPLITS", {"quick": 3})
    monkeypatch.setattr(schedules, "TRAININGS", {"quick": 3})
    rows = Rows.joined(
        Rows.of({"seed": seed, **row} for row in schedules.run("quick", seed)) for seed in range(5)
    )
    for claim in STUDY.claims:
        judged = judge(claim, rows)
        assert judged.lost == 0
        assert not claim.control or judged.word == "reproduced"
    assert "no" not in schedules.figure(rows).says.split()[:2]
    assert {"torchdx", "with the patch"} <= set(rows.distinct("arm"))
