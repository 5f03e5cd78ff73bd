import math

from torchdx.lab.rows import Rows


def test_what_is_missing_is_nan_among_numbers_and_empty_among_words():
    rows = Rows.of([{"loss": 1, "arm": "a"}, {"arm": None, "step": 3}, {"loss": 2.5}])
    assert rows["loss"].tolist()[::2] == [1.0, 2.5]
    assert math.isnan(rows["loss"][1])
    assert rows["arm"].tolist() == ["a", "", ""]
    assert len(rows) == 3


def test_rows_are_chosen_by_what_they_hold():
    rows = Rows.of({"arm": a, "step": s, "ok": s > 0} for a in "ab" for s in range(3))
    assert rows.where(arm="b", step=2)["ok"].tolist() == [True]
    assert rows.mean("step", arm="a") == 1.0
    assert math.isnan(rows.mean("step", arm="c"))
    assert rows.distinct("arm") == ["a", "b"]


def test_rows_come_back_as_they_went_in():
    listed = [
        {"seed": 1, "loss": 0.5, "arm": "x", "ok": True},
        {"seed": 2, "loss": 1.0, "arm": "y", "ok": False},
    ]
    assert list(Rows.of(listed)) == listed
    assert list(Rows.joined([Rows.of(listed[:1]), Rows.of(listed[1:])])) == listed
    assert list(Rows.of([])) == []
