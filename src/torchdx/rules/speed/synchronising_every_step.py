"""synchronising-every-step (P03): values of tensors are read in every step, and the reads cost.

## What is seen
In sampled steps every read of a tensor's value by the program is timed: `.item()`, `.tolist()`,
`.cpu()`, `.numpy()`, `float()`, `bool()`, printing. Together with what stands between reads that
follow one another at once (a loop over the rows of a batch, over the parameters of a model) they
take a tenth of the step's time or more.
## Why the net does not learn
It does, but each read stops Python until the value is there. On an accelerator nothing is queued
meanwhile, so that it runs dry after each read. On a CPU a single read costs a microsecond, but one
for each row or parameter, with the indexing around it, costs more than the step.
## When this is wrong
One `loss.item()` a step is ordinary, and costs next to nothing on a CPU. On an accelerator, the
time that a read blocks is mostly time that the device needs anyway: only what the host does beside
it can be gained, and that is what is held against the limit. A loop whose reads decide what is done
next (search, early exits) may be what is meant.
## What to try
Sum on the device and read once in a while: `total += loss.detach()`, `(answer == labels).sum()`;
compute over whole tensors instead of element by element; print every hundredth step.
## Sources
PyTorch performance tuning guide, "Avoid unnecessary CPU-GPU synchronization"; PyTorch forum 41515;
limits: docs/limits.md, P03.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from torchdx.record.model import Event, Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule
from torchdx.rules.speed.cycles import Cycles, cycles, mean_of, reads, seconds, spots

SHARE = 0.15  # of a step: what can be gained
WATCHED = 3  # cycles that must have been watched
# Reads a step from which it is a loop: a loss, an accuracy and a handful of logged numbers are
# fewer in each of the healthy programs (docs/limits.md, P03).
MANY = 8
# One read may be dear by itself: a print of a whole tensor, a copy from a device. Ordinary reads on
# a CPU take 1 to 10 us.
DEAR_S = 200e-6
SPOTS = 50  # samples of the thread that the share of a line is taken from: within a few points
NOTE_S, SUSPICION_S = 0.1, 2.0  # lost in all; a trial run is a small part of what is to come


@rule("P03", "synchronising-every-step")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the run, at the line that costs most."""
    told, seen = reads(record), cycles(record)
    if not told or seen is None or told[0].facts["cycles"] < WATCHED:
        return
    costs = _costs(record, told, seen)
    dear = costs.inside >= DEAR_S * costs.count
    looping = costs.count >= MANY or dear
    lost = costs.gained * seen.whole * seen.steps
    if costs.gained >= SHARE and lost >= NOTE_S and (looping or costs.beside):
        yield _finding(told, costs, seen)


@dataclass(frozen=True)
class _Costs:
    """Means over the watched cycles.

    count    reads a step
    inside   seconds a step inside them
    gained   the share of a step that could be gained at most
    beside   whether most of that is work with what was read, not the reads themselves
    """

    count: float
    inside: float
    gained: float
    beside: bool


def _costs(record: Record, told: list[Event], seen: Cycles) -> _Costs:
    watched = told[0].facts["cycles"]
    inside = sum(event.facts["blocked"] for event in told) / watched
    spent = sum(event.facts["looping"] for event in told) / watched
    count = sum(event.facts["count"] for event in told) / watched
    if any(event.facts["device"] != "cpu" for event in told):
        lasted = told[0].facts["seconds"] / watched
        return _Costs(count, inside, max(0.0, min(spent, lasted - inside)) / lasted, beside=False)
    # Reads on a CPU are too short to be interrupted; the step is not.
    share = spent / (seen.whole * (1.0 - (mean_of(record, "thread.queued") or 0.0)))
    # A thread that lets go of the interpreter is found more often than it is there: never believe
    # more than the time outside of forward, backward and step.
    around = min(_share_of_lines(record, told), seen.other / seen.whole)
    return _Costs(count, inside, min(1.0, max(share, around)), beside=around > share)


def _share_of_lines(record: Record, told: list[Event]) -> float:
    """How much of the time the thread was found at the lines that read, outside the training."""
    found = spots(record)
    if sum(spot.count for spot in found) < SPOTS:
        return 0.0
    lines = {event.line for event in told}
    outside = (s for s in found if s.phase in {"other", "before"} and not s.inside)
    return sum(s.count for s in outside if s.line in lines) / sum(s.count for s in found)


def _finding(told: list[Event], costs: _Costs, seen: Cycles) -> Finding:
    first = max(told, key=lambda event: event.facts["looping"]).facts
    of_first = first["count"] / first["cycles"]
    lost = costs.gained * seen.whole * seen.steps
    where = "at this line" if len(told) == 1 else f"{of_first:.0f} of them at this line"
    with_work = " with the work at the same lines" if costs.beside else ""
    text = (
        f"each step reads {_number(costs.count)} of tensors, {where} ({first['op']}); "
        f"the reads{with_work} take {costs.gained:.0%} of the step, "
        f"{seconds(lost)} in all"
    )
    if first["device"] != "cpu":
        text = (
            f"each step reads {_number(costs.count)} of tensors, {where} ({first['op']}), and "
            f"waits {seconds(costs.inside)} for {first['device']} in them; without, "
            f"{seconds(lost)} of the run could be gained at most"
        )
    return Finding(
        text=text,
        line=told[0].line,
        place="run",
        severity="suspicion" if lost >= SUSPICION_S and costs.count >= MANY else "note",
        evidence=(
            Evidence("share of a step that can be gained", round(costs.gained, 3), SHARE),
            Evidence("reads in a step", round(costs.count, 1), MANY),
            Evidence("microseconds of a step inside the reads", round(1e6 * costs.inside, 1)),
        ),
        prescriptions=(
            Prescription(
                "batch_reads", "compute over whole tensors, and read one value at the end"
            ),
            Prescription("rarely", "read, print and score only every hundredth step"),
        ),
        confirm="leave the reads out for some hundred steps and time them",
    )


def _number(count: float) -> str:
    return "a value" if round(count) == 1 else f"{count:.0f} values"
