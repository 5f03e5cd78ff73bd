import math
import os
import time
from pathlib import Path

import pytest

from tests.lab.studies.kinds import ALL_THREE, words
from torchdx.errors import CallError
from torchdx.lab.rows import Rows
from torchdx.lab.studies import numpy_and_gil
from torchdx.lab.studies.numpy_and_gil import STUDY, Split

CLAIMS = {claim.name: claim for claim in STUDY.claims}
here = pytest.mark.skipif(
    not numpy_and_gil.SPLIT.exists(), reason="takes Linux's statistics of its scheduler"
)


@pytest.mark.parametrize(
    ("name", "part", "slow", "numbers"),
    [
        ("arrays-beat-loops", "loop", "loop", 100_000),
        ("one-number", "loop", "loop", 1),
        ("contiguous-is-faster", "layout", "fragments", 100_000),
        ("vectors-beat-pointers", "layout", "objects", 100_000),
        ("same-array-twice", "layout", "again", 100_000),
    ],
)
def test_times_are_compared_by_the_median_of_rounds(name, part, slow, numbers):
    def rows(value):
        for turn, disturbed in enumerate((1.0, 1.0, 50.0)):
            told = {"part": part, "numbers": numbers, "round": turn}
            yield {**told, "kind": slow, "seconds": 10.0**value * disturbed}
            yield {**told, "kind": "array", "seconds": 1.0}

    assert words(CLAIMS[name], rows) == ALL_THREE


def test_starting_a_process_is_held_against_starting_a_thread():
    def rows(value):
        yield {"part": "start", "kind": "thread", "seconds": 0.01}
        yield {"part": "start", "kind": "process", "seconds": 0.01 * 10.0**value}

    assert words(CLAIMS["processes-are-heavy"], rows) == ALL_THREE


def parallel(work, way, *, cores=2, gil=True, **told):
    return {"part": "parallel", "work": work, "way": way, "cores": cores, "gil": gil, **told}


@pytest.mark.parametrize(
    ("name", "work", "way"),
    [
        ("threads-do-not-help-python", "python", "threads"),
        ("threads-make-python-slower", "python", "threads"),
        ("threads-help-waiting", "select", "threads"),
        ("processes-help-python", "python", "processes"),
        ("threads-help-numpy", "numpy", "threads"),
    ],
)
def test_ways_are_held_against_doing_it_in_turn(name, work, way):
    def rows(value):
        for disturbed in (1.0, 1.0, 9.0):
            yield parallel(work, "in turn", wall=value * disturbed, relieved=value * disturbed)
            yield parallel(work, way, wall=1.0, relieved=1.0)

    assert words(CLAIMS[name], rows) == ALL_THREE


def test_what_takes_two_cores_is_left_open_where_there_is_one():
    rows = Rows.of(
        [
            parallel("python", "in turn", cores=1, relieved=2.0),
            parallel("python", "processes", cores=1, relieved=1.0),
        ]
    )
    assert math.isnan(CLAIMS["processes-help-python"].statistic(rows))


def test_what_concerns_the_gil_is_left_open_where_there_is_none():
    rows = Rows.of(
        [
            parallel("python", "in turn", gil=False, wall=2.0, blocked=0.0),
            parallel("python", "threads", gil=False, wall=1.0, blocked=0.0),
            parallel("numpy", "threads", gil=False, wall=1.0, blocked=0.0),
        ]
    )
    assert math.isnan(CLAIMS["threads-do-not-help-python"].statistic(rows))
    assert math.isnan(CLAIMS["gil-shows-as-blocked"].statistic(rows))


@pytest.mark.parametrize(
    ("name", "work", "way"),
    [
        ("input-shows-as-blocked", "select", "threads"),
        ("one-thread-is-not-blocked", "python", "in turn"),
    ],
)
def test_shares_of_the_time_are_judged_by_their_median(name, work, way):
    def rows(value):
        return [parallel(work, way, blocked=value + noise) for noise in (0.0, 0.0, 0.6)]

    assert words(CLAIMS[name], rows) == ALL_THREE


def test_the_gil_is_what_blocks_python_more_than_numpy():
    def rows(value):
        yield parallel("python", "threads", blocked=0.2 + value)
        yield parallel("numpy", "threads", blocked=0.2)

    assert words(CLAIMS["gil-shows-as-blocked"], rows) == ALL_THREE


def test_a_crowd_is_judged_by_what_it_waits_more_than_it_is_blocked():
    def rows(value):
        yield parallel("numpy", "crowd", waiting=0.1 + value, blocked=0.1)

    assert words(CLAIMS["crowding-shows-as-waiting"], rows) == ALL_THREE


def test_time_that_a_thread_waits_for_a_core_is_neither_its_own_nor_blocked():
    split = Split(wall=1.0, running=0.3, waiting=0.5)
    assert split.relieved == 0.5
    assert split.blocked == pytest.approx(0.2)
    assert Split(wall=1.0, running=0.9, waiting=0.2).blocked == 0.0


@here
def test_sleep_is_blocked_and_counting_is_not():
    slept = numpy_and_gil.measured_split(lambda: time.sleep(0.1))
    assert slept.blocked > 0.8 * slept.wall
    counted = numpy_and_gil.measured_split(lambda: numpy_and_gil.count(1_000_000))
    assert counted.blocked < 0.2 * counted.wall
    assert counted.running > 0


@here
def test_processes_tell_of_themselves():
    first, second = numpy_and_gil._by_processes(lambda: time.sleep(0.05))
    assert min(first.blocked, second.blocked) > 0.03


def test_where_the_scheduler_tells_nothing_that_is_said(monkeypatch):
    monkeypatch.setattr(numpy_and_gil, "SPLIT", Path("/nowhere"))
    with pytest.raises(CallError, match="CONFIG_SCHED_INFO"):
        list(STUDY.run("quick", 0))


@here
@pytest.mark.slow
def test_a_seed_yields_what_claims_and_figure_need_and_controls_are_null(monkeypatch):
    monkeypatch.setattr(numpy_and_gil, "ROUNDS", {"quick": 3})
    monkeypatch.setattr(numpy_and_gil, "COUNTED", {"quick": 300_000})
    monkeypatch.setattr(numpy_and_gil, "SINES", {"quick": 4})
    monkeypatch.setattr(numpy_and_gil, "PAUSE_S", {"quick": 0.05})
    rows = Rows.of({"seed": 0, **row} for row in STUDY.run("quick", 0))
    found = {name: claim.statistic(rows) for name, claim in CLAIMS.items()}
    if len(os.sched_getaffinity(0)) > 1:
        assert all(math.isfinite(value) for value in found.values()), found
    assert abs(found["same-array-twice"]) < 0.2
    assert found["one-number"] < 0
    assert abs(found["one-thread-is-not-blocked"]) < 0.2
    assert found["arrays-beat-loops"] > 0.5
    assert "times faster than a loop" in STUDY.figure(rows).says
