"""The rows that all exporters are fed from, and what is told beside them."""

import math

from tests.integrations.records import ENTRIES, LASTED, ODD, STARTED, material_of, phase, written
from torchdx.integrations.findings import as_markdown
from torchdx.integrations.series import Row, by_step, rows


def series(material, signal, place=""):
    return [(r.step, r.value) for r in material.rows if (r.signal, r.place) == (signal, place)]


def test_losses_and_validation_passes_are_series_of_the_run(material):
    assert [step for step, _ in series(material, "loss.training")] == [1, 2, 5, 10]
    assert series(material, "accuracy.validation") == [(5, 0.5), (10, 0.75)]
    assert series(material, "loss.validation") == [(5, 1.5)]


def test_a_learning_rate_holds_until_the_next_and_to_the_end_of_the_run(material):
    assert series(material, "optimizer.lr", "1") == [(1, 0.1), (5, 0.1), (6, 0.01), (10, 0.01)]
    assert series(material, "optimizer.lr", "2") == [(1, 0.001), (10, 0.001)]


def test_rates_that_were_recorded_with_gaps_are_not_said_to_hold(tmp_path):
    rates = [{"e": "lr", "optimizer": 1, "step": 3 * n, "lr": 1 / n} for n in range(1, 202)]
    material = material_of(written(tmp_path / "r.dx", *ENTRIES[:2], *rates))
    assert series(material, "optimizer.lr", "1") == [(3 * n, 1 / n) for n in range(1, 202)]


def test_validation_on_two_loaders_is_two_series(tmp_path):
    passes = [phase(5, 2, 0.5, 1.0), phase(5, 3, 0.25, 2.0, model="student")]
    material = material_of(written(tmp_path / "two.dx", *passes))
    assert series(material, "loss.validation", "loader 2") == [(5, 1.0)]
    assert series(material, "loss.validation", "student, loader 3") == [(5, 2.0)]


def test_passes_that_trained_are_not_validation(tmp_path):
    passes = [phase(5, 1, 0.5, 1.0, backwards=2), phase(5, 2, 0.25, 2.0)]
    material = material_of(written(tmp_path / "both.dx", *passes))
    assert [(row.tag, row.value) for row in material.rows] == [
        ("loss/validation", 2.0),
        ("accuracy/validation", 0.25),
    ]


def test_a_tag_groups_by_signal_and_the_run_s_own_by_thing():
    assert Row("activation.std", ODD, 1, 0.0).tag == f"activation.std/{ODD}"
    assert Row("time.data", "", 1, 0.0).tag == "time/data"


def test_rows_come_together_by_step_with_steps_rising(material):
    groups = list(by_step(material.rows))
    assert [step for step, _ in groups] == [1, 2, 5, 6, 10]
    assert sum(len(rows) for _, rows in groups) == len(material.rows)


def test_times_rise_from_the_start_of_the_run_to_its_end(material):
    assert material.time_of(5) == STARTED + LASTED / 2
    assert material.time_of(10) == material.ended == STARTED + LASTED


def test_the_end_of_a_run_that_was_killed_is_its_last_write(torn):
    assert torn.ended == torn.path.stat().st_mtime
    assert torn.began == STARTED


def test_copies_of_a_record_are_one_run_and_other_runs_are_not(material, empty, tmp_path):
    copy = tmp_path / "copy.dx"
    copy.write_bytes(material.path.read_bytes())
    assert material_of(copy).identity == material.identity
    other = tmp_path / "other.dx"
    writer = written(other, {"e": "meta", "started": STARTED + 1})
    assert material_of(writer).identity != material.identity


def test_a_run_that_never_trained_has_no_rows(empty):
    assert empty.rows == rows(empty.record) == []
    assert math.isfinite(empty.time_of(0))


def test_what_was_found_is_markdown_that_carries_no_html(material):
    finding = {
        "rank": 1,
        "code": "L01",
        "name": "some-name",
        "severity": "fault",
        "confidence": "certain",
        "file": "a_b.py",
        "line": 3,
        "source": "x = '</script>`'",
        "text": "`a_b` in <b>*bold*</b> & __init__",
        "evidence": [{"what": "rows", "value": 0.123456, "against": None}],
        "prescriptions": [{"text": "write `x`"}],
    }
    text = as_markdown({**material.report, "findings": [finding], "unclear": []})
    assert text == (
        "# torchdx: 1 finding\n\n"
        "train.py --lr 0.1, 10 steps, ended with status 0\n\n"
        "## 1. L01 some-name (fault, certain)\n\n"
        "a\\_b.py:3\n\n"
        "    x = '</script>`'\n\n"
        "`a_b` in &lt;b>\\*bold\\*&lt;/b> &amp; \\_\\_init\\_\\_\n\n"
        "- rows: 0.1235\n- to try: write `x`\n- next: `torchdx explain L01`\n"
    )
