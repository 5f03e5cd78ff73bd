"""slow-loading (P02): the steps wait for their batches.

## What is seen
Of the time from one optimizer step to the next, 30 % or more goes by inside the data loader, or,
without one, before the model is called. Beside it stands what the wait is made of (computing in
this thread, sleeping on a disk or a network, workers that do not keep up) and the line at which the
thread was found most often. Cycles with a validation in them, and workers that start, do not count.
## Why the net does not learn
It does, but only as fast as its data comes: the rest of the machine is idle meanwhile, and every
experiment takes that much longer.
## When this is wrong
Rows that lie in memory cost the loader itself some microseconds each. Beside a step of a
millisecond that is a large share of nothing: it is passed over, or a note where it adds up to
long waiting. On an accelerator a wait of the host costs nothing while work is still queued; where
the accelerator is seen to have work at the end of the waits, there is no finding. Data made anew
for each step on purpose (simulation, heavy augmentation) may be worth its time.
## What to try
Do what is the same in every epoch once, before training, and keep the result; let workers prepare
batches while the model computes (`num_workers`); read fewer and larger files.
## Sources
PyTorch forum 58592 and 79268; PyTorch performance tuning guide, "Enable asynchronous data loading
and augmentation"; limits: docs/limits.md, P02.
"""

from collections.abc import Iterator
from statistics import median

from torchdx.graph.model import Line
from torchdx.record.model import Event, Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule
from torchdx.rules.speed.cycles import WARM, Cycles, Spot, cycles, mean_of, reads, seconds, spots

SHARE = 0.30  # of a cycle: a run without the wait would take 0.7 of the time or less
# What the loader itself needs for a row in memory is 4 to 6 us (docs/limits.md, P02: rows of up to
# 3 x 32 x 32 numbers, default collation); rows that cost five times as much have work done on them.
ROW_S = 25e-6
BATCH_S = 2e-3  # and a wait shorter than this is of no account whatever the step
NOTE_S, SUSPICION_S = 0.5, 2.0  # waited in all: less pleases nobody
PLAIN_NOTE_S = 20.0  # the same for rows that only the loader itself handles
MOST = 0.5  # a share that names the cause
BUSY, IDLE = 0.7, 0.3  # shares of the workers' time at work: they compute; they have little to do
IN_QUEUE = 0.5  # of the thread's time: the machine has more to do than cores
ENOUGH_SPOTS, SPOT_SHARE = 8, 0.25  # samples in a phase, and the share of a line that is named


@rule("P02", "slow-loading")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the run."""
    seen = cycles(record)
    if seen is None:
        return
    if seen.data >= SHARE * seen.whole:
        yield from _with_loader(record, seen)
    elif seen.before >= SHARE * seen.whole:
        yield from _without_loader(record, seen)


def _with_loader(record: Record, seen: Cycles) -> Iterator[Finding]:
    starved = mean_of(record, "device.starved")
    if starved is not None and starved < MOST:
        return
    loader = _loader(record)
    waited = seen.data * seen.steps
    rows = (loader.facts["rows"] if loader else None) or 1
    own = _on_a_free_machine(record, seen, loader)
    if own >= BATCH_S and own >= ROW_S * rows:
        severity = "suspicion" if waited >= SUSPICION_S else "note"
        if waited >= NOTE_S:
            yield _finding(record, seen, loader, severity=severity)
    elif waited >= PLAIN_NOTE_S:
        yield _plain(seen, rows, _loop(record, loader))


def _on_a_free_machine(record: Record, seen: Cycles, loader: Event | None) -> float:
    """Seconds of a wait, less those in which the thread waited for a core."""
    own = [seconds for step, seconds in record.series("wait.own") if step > WARM]
    if own and not (loader and loader.facts["workers"]):
        return median(own)
    return seen.data * (1.0 - (mean_of(record, "wait.queued") or 0.0))


def _without_loader(record: Record, seen: Cycles) -> Iterator[Finding]:
    spot = _busiest(record, {"other", "before"}, None)
    waited = seen.before * seen.steps
    if seen.before < BATCH_S or waited < NOTE_S or spot is None:
        return
    if any(event.line == spot.line for event in reads(record)):  # what became of the step before
        return
    yield Finding(
        text=f"{seen.before / seen.whole:.0%} of each step, {seconds(seen.before)} of "
        f"{seconds(seen.whole)}, goes by before the model is called, {seconds(waited)} in all; the "
        f"program was mostly found at this line",
        line=spot.line,
        place="run",
        severity="suspicion" if waited >= SUSPICION_S else "note",
        evidence=(
            Evidence(
                "share of a step before the model is called", _share(seen.before, seen), SHARE
            ),
            Evidence("seconds in the whole run", round(waited, 1), SUSPICION_S),
        ),
        prescriptions=(
            Prescription("precompute", "prepare the batches once, before training", str(spot.line)),
            Prescription(
                "loader", "move this work into a Dataset behind a DataLoader with workers"
            ),
        ),
        confirm=_CONFIRM,
    )


_CONFIRM = "train on one batch that is kept: steps take only the rest of their time then"


def _finding(record: Record, seen: Cycles, loader: Event | None, *, severity: str) -> Finding:
    waited = seen.data * seen.steps
    cause, prescriptions = _cause(record, loader)
    crowd = _crowd(record, loader)
    text = (
        f"{seen.data / seen.whole:.0%} of each step, {seconds(seen.data)} of "
        f"{seconds(seen.whole)}, is waiting for the next batch, {seconds(waited)} in all: "
        f"{cause}{crowd}"
    )
    evidence = [
        Evidence("share of a step that is waiting for data", _share(seen.data, seen), SHARE),
        Evidence("seconds waited in the whole run", round(waited, 1), SUSPICION_S),
    ]
    for signal, what in _BESIDE:
        value = mean_of(record, signal)
        if value is not None:
            evidence.append(Evidence(what, round(value, 2)))
    return Finding(
        text=text,
        line=_line(record, loader),
        place="run",
        severity="note" if severity == "note" else "suspicion",
        evidence=tuple(evidence),
        prescriptions=prescriptions,
        confirm=_CONFIRM,
    )


_BESIDE = (
    ("wait.running", "of the wait, this thread on a core"),
    ("wait.queued", "of the wait, this thread waiting for a core"),
    ("wait.blocked", "of the wait, this thread asleep"),
    ("wait.collating", "of the wait, putting rows together"),
    ("workers.running", "of the workers' time, at work"),
)


def _plain(seen: Cycles, rows: int, loop: Line | None) -> Finding:
    waited = seen.data * seen.steps
    return Finding(
        text=f"the loader takes {seconds(seen.data)} for {rows} rows that lie in memory, "
        f"{seen.data / seen.whole:.0%} of each step and {seconds(waited)} in all",
        line=loop,
        place="run",
        severity="note",
        evidence=(
            Evidence("share of a step that is waiting for data", _share(seen.data, seen), SHARE),
            Evidence("seconds for a row", float(f"{seen.data / rows:.2g}"), ROW_S),
        ),
        prescriptions=(
            Prescription(
                "index",
                "slice the tensors by a shuffled index instead of going through a DataLoader",
            ),
        ),
    )


def _loader(record: Record) -> Event | None:
    """The loader that was learnt from; of several, the one most batches came from."""
    passes = [phase for phase in record.phases if phase.steps and phase.loader]
    learnt = max(passes, key=lambda phase: phase.batches, default=None)
    told = record.of("loader")
    fitting = [e for e in told if learnt is None or e.facts["loader"] == learnt.loader]
    return next(reversed(fitting or told), None)


def _cause(record: Record, loader: Event | None) -> tuple[str, tuple[Prescription, ...]]:
    """Who is to blame, in words, and what to change."""
    workers = loader.facts["workers"] if loader else 0
    if workers:
        return _workers_cause(record, workers, loader.facts["cores"] if loader else 1)
    once = Prescription(
        "precompute", "do it once for each row before training, and keep the result"
    )
    cores = int(loader.facts["cores"]) if loader else 1
    more = Prescription(
        "num_workers", f"num_workers={max(1, cores - 1)}", to=str(max(1, cores - 1))
    )
    if (mean_of(record, "wait.blocked") or 0.0) > (mean_of(record, "wait.running") or 0.0):
        asleep = Prescription("num_workers", "num_workers=4: workers wait side by side", to="4")
        text = "this thread is asleep meanwhile, on a disk, a network or a lock"
        return text, (asleep, once)
    if (mean_of(record, "wait.collating") or 0.0) >= MOST:
        return "the rows are put together in this thread", (once, more)
    return "the rows are read and changed in this thread, one by one", (once, more)


def _workers_cause(
    record: Record, workers: int, cores: float
) -> tuple[str, tuple[Prescription, ...]]:
    busy = mean_of(record, "workers.running") or 0.0
    blocked = mean_of(record, "wait.blocked")
    more = Prescription("num_workers", f"num_workers={2 * workers}", to=str(2 * workers))
    cheaper = Prescription("precompute", "do it once for each row before training; keep the result")
    running = mean_of(record, "wait.running") or 0.0
    if blocked is not None and busy < IDLE and running > blocked:
        text = f"the {workers} workers are mostly idle, and this thread unpacks what they send"
        fewer = Prescription("num_workers", "num_workers=0: rows are quicker made here", to="0")
        return text, (fewer,)
    if busy >= BUSY:
        text = f"the {workers} workers compute all the time and do not keep up"
        return text, ((more, cheaper) if workers < cores - 1 else (cheaper,))
    if busy < IDLE:
        return f"the {workers} workers sleep themselves, on a disk or a network", (more, cheaper)
    return f"the {workers} workers do not keep up", (more, cheaper)


def _crowd(record: Record, loader: Event | None) -> str:
    """That the machine has more to do than it has cores, where that is so."""
    queued = mean_of(record, "thread.queued")
    if queued is None or queued < IN_QUEUE:
        return ""
    facts = loader.facts if loader else {"threads": 1, "workers": 0, "cores": 1}
    threads = facts["threads"] + facts["workers"]
    own = f"; {threads} threads and workers of its own on {facts['cores']:g} cores"
    return (
        f" (for {queued:.0%} of its time the thread waits for a core: the machine is overloaded"
        f"{own if threads > facts['cores'] else ''})"
    )


def _line(record: Record, loader: Event | None) -> Line | None:
    """Where data is made: the line found most often, the function that reads a row, the loop."""
    workers = loader.facts["workers"] if loader else 0
    loop = _loop(record, loader)
    spot = None if workers else _busiest(record, {"data"}, loop)
    return spot.line if spot else (loader.line if loader else None) or loop


def _loop(record: Record, loader: Event | None) -> Line | None:
    return record.line(loader.facts["loop"]) if loader else None


def _busiest(record: Record, phases: set[str], besides: Line | None) -> Spot | None:
    """The line at which the thread was found most often in some phases, outside any module."""
    fitting = [
        spot
        for spot in spots(record)
        if spot.phase in phases and not spot.inside and spot.line != besides
    ]
    total = sum(spot.count for spot in fitting)
    first = max(fitting, key=lambda spot: spot.count, default=None)
    if first is None or total < ENOUGH_SPOTS or first.count < SPOT_SHARE * total:
        return None
    return first


def _share(part: float, seen: Cycles) -> float:
    return round(part / seen.whole, 2)
