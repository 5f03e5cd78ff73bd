import math

from torchdx.lab.grouped import grouped
from torchdx.lab.rows import Rows


def test_a_group_is_told_by_its_middle_and_how_far_it_reaches():
    rows = Rows.of({"arm": "a", "lr": 0.1, "loss": loss} for loss in (3.0, 1.0, 50.0))
    assert grouped(rows, ["arm", "lr"], "loss") == [
        {"arm": "a", "lr": 0.1, "loss": 3.0, "low": 1.0, "high": 50.0}
    ]


def test_groups_keep_their_order_and_what_is_not_finite_is_left_out():
    rows = Rows.of(
        [
            {"arm": "b", "loss": math.nan},
            {"arm": "b", "loss": 2.0},
            {"arm": "a", "loss": 1.0},
            {"arm": "gone", "loss": math.inf},
        ]
    )
    assert [row["arm"] for row in grouped(rows, ["arm"], "loss")] == ["b", "a"]
