import math
from dataclasses import replace

import pytest

from tests.lab.studies.kinds import ALL_THREE, words
from torchdx.errors import CallError
from torchdx.lab.rows import Rows
from torchdx.lab.studies import source_faults
from torchdx.lab.studies.source_faults import OUTCOMES, SCRIPTS, STUDY

CLAIMS = {claim.name: claim for claim in STUDY.claims}
LOSS, TENT, SMALL, NOISE = SCRIPTS


def printed(script, arm, **measures):
    where = {"kind": "result", "script": script, "arm": arm}
    return [{**where, "measure": measure, "value": value} for measure, value in measures.items()]


def said(script, arm="posted", **told):
    plain = {"first": 9.0, "alarms": 9.0, "named": 0.0, "at_line": 0.0, "codes": ""}
    return {"kind": "said", "script": script, "arm": arm, **plain, **told}


def between(script, measure, over, by):
    def rows(value):
        yield from printed(script, over, **{measure: 0.5})
        yield from printed(script, by, **{measure: 0.5 + value})
        yield from printed(script, "another", **{measure: 7.0})

    return rows


def within(script, arm, less, more):
    def rows(value):
        yield from printed(script, arm, **{less: 0.5, more: 0.5 + value})
        yield from printed(script, "another", **{less: 1.0, more: 7.0})

    return rows


def hidden(value):
    yield from printed(NOISE, "posted", **{"alpha 0": 0.8, "alpha 10": 0.7})
    yield from printed(NOISE, "mended", **{"alpha 0": 0.9, "alpha 10": 0.8 - value})


def lines(value):
    right = round(100 * (1 - min(abs(1 - value), 1.0)))
    yield said(LOSS, named=60, at_line=min(right, 60))
    yield said(TENT, named=40, at_line=max(right - 60, 0))


def alarmed(*scripts):
    def rows(value):
        for script in scripts:
            yield said(script, "mended", alarms=value + 0.1)
            yield said(script, "other", alarms=value - 0.1)
        yield said(LOSS, "posted", alarms=50)

    return rows


def reseeded(value):
    for script, measure in OUTCOMES.items():
        yield from printed(script, "mended", **{measure: 0.5 + value})
        yield from printed(script, "other", **{measure: 0.5})


def first(script, arm="posted"):
    return lambda value: [said(script, arm, first=value), said(script, "another")]


def planes(arm):
    return lambda value: [
        {"kind": "planes", "arm": arm, "together": value},
        {"kind": "planes", "arm": "another", "together": 9.0},
    ]


def dates(column):
    return lambda value: [
        {"kind": "dates", "arm": "posted", column: value},
        {"kind": "dates", "arm": "mended", column: 99.0},
    ]


ROWS = {
    "mean-instead-of-sum": between(LOSS, "accuracy", "posted", "mended"),
    "tent-beats-norm": within(TENT, "posted", "tent", "norm"),
    "reset-stats-matters-not": within(TENT, "posted", "tent", "reset"),
    "freezing-mends-tent": between(TENT, "tent", "posted", "mended"),
    "frozen-tent-is-norm": within(TENT, "mended", "tent", "norm"),
    "students-see-no-jitter": lambda v: printed(SMALL, "posted", jittered=v),
    "jitter-costs": between(SMALL, "distilled", "posted", "mended"),
    "threes-are-distilled": within(SMALL, "mended", "small", "distilled"),
    "last-epoch-kept": between(NOISE, "alpha 10", "aliased", "mended"),
    "worst-epoch-kept": between(NOISE, "alpha 0", "worst", "mended"),
    "one-hides-the-other": between(NOISE, "alpha 0", "unaliased", "posted"),
    "reuse-flatters": between(NOISE, "alpha 10", "mended", "reused"),
    "robust-beyond-truth": hidden,
    "planes-by-angle": planes("posted"),
    "planes-with-no-shift": planes("mended"),
    "weekends-are-the-same": dates("gap"),
    "months-read-as-minutes": dates("wrong"),
    "january": dates("january"),
    "names-the-sum": first(LOSS),
    "names-what-is-not-frozen": first(TENT),
    "names-the-dead-transform": first(SMALL),
    "names-one-of-four": first(NOISE),
    "names-the-alias": first(NOISE, "aliased"),
    "names-the-worst-epoch": first(NOISE, "worst"),
    "names-the-reuse": first(NOISE, "reused"),
    "at-its-line": lines,
    "silent-on-random-labels": alarmed(NOISE),
    "silent-on-mended": alarmed(LOSS, TENT, SMALL),
    "another-seed": reseeded,
}


@pytest.mark.parametrize("name", CLAIMS)
def test_each_claim_is_judged_by_its_own_rows(name):
    assert words(CLAIMS[name], ROWS[name]) == ALL_THREE


def test_where_nothing_is_named_no_line_is_right_or_wrong():
    assert math.isnan(CLAIMS["at-its-line"].statistic(Rows.of([said(LOSS)])))


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_mended_program_has_none_of_the_posted_lines_and_one_fault_left_has_its_own(name):
    script = SCRIPTS[name]
    posted, mended = script.text(tuple(script.mends)), script.text(())
    compile(mended, name, "exec")
    for fault, edits in script.mends.items():
        left = script.text((fault,))
        for old, new in edits:
            assert old in posted
            assert new in mended
            assert new.startswith("import") or (old in left and old not in mended)


def test_a_mend_that_no_longer_fits_is_an_error():
    script = replace(SCRIPTS[LOSS], mends={"summed": [("not there", "at all")]})
    with pytest.raises(CallError, match="no 'not there' to mend"):
        script.text(())


def test_half_of_a_year_of_dates_is_read_wrong_and_january_is_not():
    rows = Rows.of(source_faults._dates(0))
    assert 0.3 < rows.mean("wrong", arm="posted") < 0.5
    assert rows.mean("january", arm="posted") == 0.0
    assert rows.mean("wrong", arm="mended") == 0.0


def test_the_figure_shows_every_program_with_what_it_is_called():
    rows = [row for name in ROWS for row in ROWS[name](0.5) if row["kind"] == "result"]
    heard = [said(script, arm, codes="L09") for script in SCRIPTS for arm in ("posted", "mended")]
    figure = STUDY.figure(Rows.of([*rows, *heard]))
    panels = figure.chart["vconcat"]
    assert [panel["encoding"]["x"]["title"].split(",")[0] for panel in panels] == list(SCRIPTS)
    assert all("posted: L09" in panel["encoding"]["y"]["sort"] for panel in panels)
    assert "summed loss" in figure.says


MEASURES = {
    LOSS: {"accuracy"},
    TENT: {"source", "norm", "tent", "reset"},
    SMALL: {"big", "small", "distilled", "jittered"},
    NOISE: {"alpha 0", "alpha 10"},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_posted_program_runs_and_tells_what_claims_read(name):
    *results, heard = source_faults._arm(name, "posted", tuple(SCRIPTS[name].mends), 0)
    assert {row["measure"] for row in results} == MEASURES[name]
    assert all(0 <= row["value"] <= 1 for row in results)
    if name != TENT:  # which the ledger tells of
        assert heard["first"]
