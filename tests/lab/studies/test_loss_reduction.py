import math

import pytest

from tests.lab.studies.kinds import ALL_THREE, words
from torchdx.lab.rows import Rows
from torchdx.lab.studies import loss_reduction
from torchdx.lab.studies.loss_reduction import BATCHES, CASES, POWERS, STUDY

CLAIMS = {claim.name: claim for claim in STUDY.claims}
PAIRS = {
    "sgd-to-the-bit": "SGD",
    "momentum-to-the-bit": "SGD, momentum",
    "rounding": "SGD, 48 rows",
    "adam-does-not-see-it": "Adam, same rate",
    "adam-divided": "Adam, rate divided",
    "clipping-parts-them": "clipped at 1",
    "decay-parts-them": "weight decay",
    "ragged-parts-them": "ragged last batch",
    "one-row": "one row",
}


@pytest.mark.parametrize("name", PAIRS)
def test_a_pair_is_judged_by_how_far_its_weights_end_apart(name):
    def rows(value):
        return [{"kind": "equal", "case": PAIRS[name], "largest": value, "relative": value}]

    assert words(CLAIMS[name], rows) == ALL_THREE


@pytest.mark.parametrize(
    ("name", "reduction"), [("torchdx-names-it", "sum"), ("torchdx-is-silent", "mean")]
)
def test_what_torchdx_says_is_counted(name, reduction):
    def rows(value):
        return [{"kind": "posted", "reduction": reduction, "named": value}]

    assert words(CLAIMS[name], rows) == ALL_THREE


@pytest.mark.parametrize(
    ("name", "column", "base"), [("posted-case", "loss", 0.0), ("gradient-grows", "gradient", 1.0)]
)
def test_the_posted_case_is_held_against_its_average(name, column, base):
    def rows(value):
        pair = (("sum", value), ("mean", base))
        return [{"kind": "posted", "reduction": r, column: v} for r, v in pair]

    assert words(CLAIMS[name], rows) == ALL_THREE


def rates(few, many, reduction):
    """Losses that fall up to these powers of two and are as bad as guessing beyond."""
    for rows, limit in zip(BATCHES, (few, many), strict=True):
        for power in POWERS:
            loss = 2.3 if power > limit or power < -12 else 0.3
            told = {"reduction": reduction, "rows": rows, "lr": 2.0**power}
            yield {"kind": "rate", "loss": loss, "before": math.log(10), **told}


@pytest.mark.parametrize(
    ("name", "reduction"), [("stability-of-sum", "sum"), ("stability-of-mean", "mean")]
)
def test_the_largest_stable_rate_is_found_and_compared(name, reduction):
    assert words(CLAIMS[name], lambda v: rates(2.0, 2.0 - round(2 * v) / 2, reduction)) == ALL_THREE


def test_a_rate_counts_as_stable_only_where_all_below_it_are():
    found = [dict(row) for row in rates(2.0, 2.0, "sum")]
    hole = [r | {"loss": 2.3} if r["lr"] == 2.0**-3 and r["rows"] == 16 else r for r in found]
    assert loss_reduction._stable(Rows.of(hole), "sum", 16) == -3.5


@pytest.mark.slow
def test_a_seed_yields_what_the_claims_and_the_figure_need(monkeypatch):
    monkeypatch.setattr(loss_reduction, "POWERS", [-12.0, -4.0, 3.0])
    monkeypatch.setattr(loss_reduction, "STEPS", {"quick": 25})
    monkeypatch.setitem(CASES, "one row", CASES["one row"])
    rows = Rows.of({"seed": 0, **row} for row in STUDY.run("quick", 0))
    found = {name: claim.statistic(rows) for name, claim in CLAIMS.items()}
    assert all(math.isfinite(value) for value in found.values()), found
    assert found["sgd-to-the-bit"] == found["one-row"] == found["torchdx-is-silent"] == 0.0
    assert abs(found["gradient-grows"] - 128) < 0.1
    assert "mean, 16 rows" in STUDY.figure(rows).says
