"""NumPy against loops of Python, and what threads and processes are good for.

Times are compared within one run, by medians of rounds in which all ways take turns; none is told
by itself. Where a thread's time went is read from Linux: on a core, waiting for one (in the run
queue), or blocked (by input, a lock, or the interpreter's own lock, the GIL).
"""

import math
import multiprocessing
import os
import select
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from torchdx.errors import CallError
from torchdx.lab.grouped import grouped
from torchdx.lab.rows import Row, Rows
from torchdx.lab.study import Claim, Size, Study
from torchdx.report.charts.base import Chart, Figure, columns, quantity, told

SPLIT = Path("/proc/thread-self/schedstat")  # nanoseconds on a core and in the run queue
ROUNDS = {"quick": 7, "full": 25}
COUNTED = {"quick": 2_000_000, "full": 10_000_000}  # the post's is the latter
SINES = {"quick": 20, "full": 100}  # of WIDE numbers each
WIDE = 400_000
PAUSE_S = {"quick": 0.1, "full": 2.0}
WORKERS = 2
CROWD = 4  # threads a core, where there are to be too many
NUMBERS = (1, 10, 100, 1_000, 10_000, 100_000)
MANY = NUMBERS[-1]
APART = 16  # numbers between those that are read: two lines of a cache
LEAST_S = 0.002  # on a core, for one measurement of an array
EMPTY = 15  # threads, and processes, that do nothing

Way = Literal["in turn", "threads", "processes", "crowd"]
WAYS: tuple[Way, ...] = ("in turn", "threads", "processes")


@dataclass(frozen=True)
class Split:
    """Where the time of a thread went, in seconds."""

    wall: float
    running: float
    waiting: float

    @property
    def relieved(self) -> float:
        """How long it would have taken, had a core been free whenever it wanted one."""
        return self.wall - self.waiting

    @property
    def blocked(self) -> float:
        """How long it did not want a core, or could not have used it."""
        return max(0.0, self.wall - self.waiting - self.running)


def run(size: Size, seed: int) -> Iterator[Row]:
    """Arrays first, then threads and processes."""
    _need_linux()
    yield from _arrays(size, seed)
    yield from _starts()
    works = _works(size, seed)
    facts: Row = {"cores": len(os.sched_getaffinity(0)), "gil": _has_gil()}
    for turn in range(ROUNDS[size]):
        for work, function in works.items():
            for way in _ways(work):
                found = _done(function, way)
                yield {
                    "part": "parallel",
                    "work": work,
                    "way": way,
                    "round": turn,
                    **facts,
                    **found,
                }


def _need_linux() -> None:
    if not SPLIT.exists() or not hasattr(os, "fork"):
        msg = (
            f"numpy-and-gil reads from {SPLIT} where the time of a thread went; it is not here. "
            "This takes Linux with scheduler statistics (CONFIG_SCHED_INFO)."
        )
        raise CallError(msg)


def _has_gil() -> bool:
    asked = getattr(sys, "_is_gil_enabled", None)
    return True if asked is None else bool(asked())


def _works(size: Size, seed: int) -> dict[str, Callable[[], None]]:
    wide = np.random.default_rng(seed).random(WIDE)
    return {
        "python": partial(count, COUNTED[size]),
        "numpy": partial(sines, wide, SINES[size]),
        "select": partial(pause, PAUSE_S[size]),
    }


def count(number: int) -> None:
    """Work for a core, in Python alone."""
    while number > 0:
        number -= 1


def sines(numbers: np.ndarray, times: int) -> None:
    """Work for a core, outside of Python: NumPy lets go of the GIL meanwhile."""
    out = np.empty_like(numbers)
    for _ in range(times):
        np.sin(numbers, out=out)


def pause(seconds: float) -> None:
    """Waiting for input that does not come."""
    select.select([], [], [], seconds)


def _ways(work: str) -> tuple[Way, ...]:
    return {"numpy": (*WAYS, "crowd"), "select": ("in turn", "threads")}.get(work, WAYS)


def _done(function: Callable[[], None], way: Way) -> Row:
    """The work done twice, one way (by a crowd: once for each of its threads)."""
    began = time.perf_counter()
    splits = _DOERS[way](function)
    wall = time.perf_counter() - began
    whole = sum(split.wall for split in splits)
    return {
        "wall": wall,
        "relieved": max(split.relieved for split in splits),
        "running": sum(split.running for split in splits) / whole,
        "waiting": sum(split.waiting for split in splits) / whole,
        "blocked": sum(split.blocked for split in splits) / whole,
    }


def measured_split(function: Callable[[], None]) -> Split:
    """Do it here, and tell where the time of this thread went."""
    began, before = time.perf_counter(), _schedule()
    function()
    after, ended = _schedule(), time.perf_counter()
    return Split(ended - began, after[0] - before[0], after[1] - before[1])


def _schedule() -> tuple[float, float]:
    running, waiting, _ = SPLIT.read_text(encoding="ascii").split()
    return int(running) / 1e9, int(waiting) / 1e9


def _in_turn(function: Callable[[], None]) -> list[Split]:
    def both() -> None:
        for _ in range(WORKERS):
            function()

    return [measured_split(both)]


def _by_threads(function: Callable[[], None], workers: int = WORKERS) -> list[Split]:
    found: list[Split] = []
    threads = [
        threading.Thread(target=lambda: found.append(measured_split(function)))
        for _ in range(workers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def _by_crowd(function: Callable[[], None]) -> list[Split]:
    return _by_threads(function, CROWD * len(os.sched_getaffinity(0)))


def _by_processes(function: Callable[[], None]) -> list[Split]:
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    processes = [
        context.Process(target=_told_by_process, args=(function, queue)) for _ in range(WORKERS)
    ]
    for process in processes:
        process.start()
    found = [queue.get() for _ in processes]
    for process in processes:
        process.join()
    return found


def _told_by_process(function: Callable[[], None], queue: Any) -> None:
    queue.put(measured_split(function))


_DOERS: dict[Way, Callable[[Callable[[], None]], list[Split]]] = {
    "in turn": _in_turn,
    "threads": _by_threads,
    "processes": _by_processes,
    "crowd": _by_crowd,
}


def _starts() -> Iterator[Row]:
    """What a thread and a process cost that do nothing."""
    context = multiprocessing.get_context("fork")
    for turn in range(EMPTY):
        for kind, make in (("thread", threading.Thread), ("process", context.Process)):
            began = time.perf_counter()
            worker = make(target=_nothing)
            worker.start()
            worker.join()
            seconds = time.perf_counter() - began
            yield {"part": "start", "kind": kind, "round": turn, "seconds": seconds}


def _nothing() -> None:
    """Nothing."""


def _arrays(size: Size, seed: int) -> Iterator[Row]:
    """Sums of squares, by a loop and by arrays that lie in memory in several ways."""
    draw = np.random.default_rng(seed)
    for number in NUMBERS:
        numbers = draw.random(number)
        yield from _kinds(size, number, {"loop": numbers.tolist(), "array": numbers})
    wide = draw.random(MANY * APART)
    fragments = wide[::APART]
    kinds = {
        "array": fragments.copy(),
        "again": fragments.copy(),
        "fragments": fragments,
        "objects": fragments.astype(object),
    }
    yield from _kinds(size, MANY, kinds, part="layout")


def _kinds(size: Size, number: int, kinds: dict[str, Any], part: str = "loop") -> Iterator[Row]:
    for turn in range(ROUNDS[size]):
        for kind, numbers in kinds.items():
            function = loop if kind == "loop" else squares
            seconds = _core_time(partial(function, numbers))
            told: Row = {"kind": kind, "numbers": number, "round": turn, "seconds": seconds}
            yield {"part": part, **told}


def loop(numbers: list[float]) -> float:
    """A sum of squares, number by number."""
    total = 0.0
    for number in numbers:
        total += number * number
    return total


def squares(numbers: np.ndarray) -> float:
    """A sum of squares, all at once."""
    return float((numbers * numbers).sum())


def _core_time(function: Callable[[], float]) -> float:
    """Seconds on a core of one call, over as many calls as can be measured."""
    calls, seconds = 1, 0.0
    while seconds < LEAST_S:
        began = time.thread_time()
        for _ in range(calls):
            function()
        seconds = time.thread_time() - began
        calls *= 4
    return seconds / (calls // 4)


def decades(rows: Rows, slow: str, fast: str, part: str = "loop", numbers: int = MANY) -> float:
    """By how many decades one kind takes longer than another: the median over rounds."""
    own = rows.where(part=part, numbers=numbers)
    return _decades(own, "seconds", slow, fast)


def start_cost(rows: Rows) -> float:
    """Decades by which a process costs more than a thread."""
    return _decades(rows.where(part="start"), "seconds", "process", "thread")


def _decades(rows: Rows, column: str, slow: str, fast: str) -> float:
    ratios = rows.where(kind=slow)[column] / rows.where(kind=fast)[column]
    return float(np.log10(np.median(ratios)))


def speed_up(rows: Rows, work: str, way: str, column: str = "wall") -> float:
    """How many times faster than in turn: the median over rounds; NaN where it cannot be told."""
    own = rows.where(part="parallel", work=work)
    if work == "python" and way == "threads" and not own["gil"].all():
        return math.nan
    if column == "relieved" and min(own["cores"]) < WORKERS:
        return math.nan
    return float(np.median(own.where(way="in turn")[column] / own.where(way=way)[column]))


def share(rows: Rows, work: str, way: str, column: str) -> float:
    """Of the time of threads: the median over rounds."""
    own = rows.where(part="parallel", work=work, way=way)
    return float(np.median(own[column]))


def blocked_by_gil(rows: Rows) -> float:
    """By how much longer threads of Python are blocked than threads of NumPy."""
    if not rows.where(part="parallel")["gil"].all():
        return math.nan
    return share(rows, "python", "threads", "blocked") - share(rows, "numpy", "threads", "blocked")


def crowded(rows: Rows) -> float:
    """By how much longer a crowd of threads waits for cores than it is blocked."""
    return share(rows, "numpy", "crowd", "waiting") - share(rows, "numpy", "crowd", "blocked")


def figure(rows: Rows) -> Figure:
    """Loops against arrays by size; speed-ups; where the time of threads went."""
    parts = [rows.where(seed=seed) for seed in rows.distinct("seed")]
    gain = np.mean([decades(part, "loop", "array") for part in parts])
    python, waiting = (
        np.mean([speed_up(part, work, "threads") for part in parts])
        for work in ("python", "select")
    )
    blocked = np.mean([share(part, "python", "threads", "blocked") for part in parts])
    says = (
        f"An array is {10**gain:.0f} times faster than a loop over {MANY:,} numbers; two threads "
        f"make Python {python:.2f} times as fast, and waiting {waiting:.2f} times; threads of "
        f"Python are blocked {blocked:.0%} of the time."
    )
    chart = {"hconcat": [figure_sizes(rows), figure_split(rows)]}
    return Figure("numpy-and-gil", "Arrays, threads and processes", says, chart)


def figure_sizes(rows: Rows) -> Chart:
    """Time a number, by how many there are."""
    found = grouped(rows.where(part="loop"), ["kind", "numbers"], "seconds")
    first = {r["numbers"]: r["seconds"] for r in found if r["kind"] == "loop"}
    array = [r for r in found if r["kind"] == "array"]
    times = [float(first[r["numbers"]]) / float(r["seconds"]) for r in array]  # type: ignore[arg-type]
    return {
        "data": columns(numbers=[r["numbers"] for r in array], times=times),
        "width": 240,
        "height": 200,
        "mark": {"type": "line", "point": {"size": 30}},
        "encoding": {
            "x": quantity("numbers", "numbers", "log", axis={"format": "~s", "tickCount": 5}),
            "y": quantity(
                "times", "times as fast as a loop", "log", axis={"format": "~g", "tickCount": 5}
            ),
            "tooltip": told(("numbers", "numbers"), ("times", "times as fast")),
        },
    }


def figure_split(rows: Rows) -> Chart:
    """Where the time of threads went, by work and way."""
    own = rows.where(part="parallel")
    states = ("running", "waiting", "blocked")
    data: dict[str, list[Any]] = {"arm": [], "state": [], "order": [], "share": []}
    for work in own.distinct("work"):
        for way in own.where(work=work).distinct("way"):
            for order, state in enumerate(states):
                data["order"].append(order)
                data["arm"].append(f"{work}, {way}")
                data["state"].append(state)
                data["share"].append(own.mean(state, work=work, way=way))
    colour = {"field": "state", "type": "nominal", "title": None, "sort": list(states)}
    return {
        "data": columns(**data),
        "width": 300,
        "height": 200,
        "mark": {"type": "bar"},
        "encoding": {
            "y": {"field": "arm", "type": "nominal", "title": None, "sort": None},
            "x": quantity("share", "share of the time", "share", stack="zero"),
            "color": colour,
            "order": {"field": "order", "type": "quantitative"},
            "tooltip": told(("arm", "work"), ("state", "state"), ("share", "share")),
        },
    }


_ARRAYS = (
    Claim(
        name="arrays-beat-loops",
        sentence="NumPy is faster than pure Python on many numbers.",
        statistic=partial(decades, slow="loop", fast="array"),
        direction="above",
        delta=0.7,  # five times: what rewriting a loop is worth
        unit="decades",
    ),
    Claim(
        name="contiguous-is-faster",
        sentence="Numbers that lie together in memory are faster to read than fragments.",
        statistic=partial(decades, slow="fragments", fast="array", part="layout"),
        direction="above",
        delta=0.1,  # a quarter
        unit="decades",
    ),
    Claim(
        name="vectors-beat-pointers",
        sentence="One type and vector instructions are faster than pointers to objects.",
        statistic=partial(decades, slow="objects", fast="array", part="layout"),
        direction="above",
        delta=0.7,
        unit="decades",
    ),
)
_THREADS = (
    Claim(
        name="threads-do-not-help-python",
        sentence="Two threads that count are no faster than counting twice.",
        statistic=partial(speed_up, work="python", way="threads"),
        direction="equal",
        target=1.0,
        delta=0.2,  # a fifth: far from the two that two cores could give
        unit="times",
        published=1.53 / 1.57,
    ),
    Claim(
        name="threads-make-python-slower",
        sentence="Threads marginally worsen the performance of counting.",
        statistic=partial(speed_up, work="python", way="threads"),
        direction="below",
        target=1.0,
        delta=0.01,
        unit="times",
        published=1.53 / 1.57,
    ),
    Claim(
        name="threads-help-waiting",
        sentence="Two threads that wait for input take half the time.",
        statistic=partial(speed_up, work="select", way="threads"),
        direction="equal",
        target=2.0,
        delta=0.2,
        unit="times",
        published=2.0,
    ),
    Claim(
        name="processes-help-python",
        sentence="Two processes that count are about twice as fast.",
        statistic=partial(speed_up, work="python", way="processes", column="relieved"),
        direction="above",
        target=1.0,
        delta=0.5,  # half of what two cores could give
        unit="times",
        published=2.0,
    ),
    Claim(
        name="threads-help-numpy",
        sentence="NumPy lets go of the GIL: two threads are about twice as fast.",
        statistic=partial(speed_up, work="numpy", way="threads", column="relieved"),
        direction="above",
        target=1.0,
        delta=0.5,
        unit="times",
    ),
    Claim(
        name="processes-are-heavy",
        sentence="A process is much heavier to start than a thread.",
        statistic=start_cost,
        direction="above",
        delta=0.5,  # three times
        unit="decades",
    ),
)
_SPLITS = (
    Claim(
        name="gil-shows-as-blocked",
        sentence="Threads of Python are blocked by the GIL, threads of NumPy are not.",
        statistic=blocked_by_gil,
        direction="above",
        delta=0.05,  # what still counts as not blocked, see the control
        unit="share of time",
    ),
    Claim(
        name="input-shows-as-blocked",
        sentence="Threads that wait for input are blocked nearly all of the time.",
        statistic=partial(share, work="select", way="threads", column="blocked"),
        direction="above",
        target=0.5,
        delta=0.3,
        unit="share of time",
    ),
    Claim(
        name="crowding-shows-as-waiting",
        sentence="More threads than cores wait in the run queue, and are not blocked.",
        statistic=crowded,
        direction="above",
        delta=0.3,
        unit="share of time",
    ),
)
_CONTROLS = (
    Claim(
        name="same-array-twice",
        sentence="The same array takes as long as its copy.",
        statistic=partial(decades, slow="again", fast="array", part="layout"),
        direction="equal",
        delta=0.05,  # an eighth: half of what counts for fragments
        unit="decades",
        control=True,
    ),
    Claim(
        name="one-number",
        sentence="For a single number, an array is slower than a loop.",
        statistic=partial(decades, slow="loop", fast="array", numbers=1),
        direction="below",
        delta=0.3,
        unit="decades",
        control=True,
    ),
    Claim(
        name="one-thread-is-not-blocked",
        sentence="Counting in one thread is not blocked by anything.",
        statistic=partial(share, work="python", way="in turn", column="blocked"),
        direction="equal",
        delta=0.05,
        unit="share of time",
        control=True,
    ),
)

STUDY = Study(
    name="numpy-and-gil",
    title="Arrays beat loops; threads help what waits or leaves Python, not Python itself.",
    source=(
        "Why is Numpy faster than pure Python, cmpatino.substack.com, 2024; The Python GIL, "
        "rohanvarma.me, 2019"
    ),
    setting=(
        "The post's work (counting down, select on nothing) in smaller portions: 2,000,000 "
        "numbers, 0.1 s. Ways take turns, and medians of 7 rounds are compared, so that other load "
        "does not decide; what is said of two cores leaves the time in the run queue out, and is "
        "left open where there are fewer. An interpreter without a GIL is left out where the GIL "
        "is in question. Array times are seconds on a core. The processes are forks of one that "
        "has torch loaded."
    ),
    amended=(
        "With seed 0 in view, on a machine with other work: what counts as equal between an array "
        "and its copy (an eighth)."
    ),
    claims=_ARRAYS + _THREADS + _SPLITS + _CONTROLS,
    run=run,
    figure=figure,
)
