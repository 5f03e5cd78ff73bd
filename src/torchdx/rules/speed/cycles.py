"""Where the time of the steps went: what the rules of speed ask of the record.

A *cycle* is the time from one optimizer step to the next; `torchdx.instruments.timing` says how it
is parted. The first cycles are dearer than all others, and are left out.
"""

from dataclasses import dataclass

from torchdx.graph.model import Line
from torchdx.record.model import Event, Record

WARM = 5  # steps that count for nothing: lazy initialisation, and torchdx's deepest looks
ENOUGH = 10  # cycles after them that are needed


@dataclass(frozen=True)
class Cycles:
    """Means over the cycles of a run, seconds a step.

    before   part of `other`: until the model is called
    seen     cycles over which the means go
    steps    optimizer steps of the whole run
    """

    data: float
    compute: float
    other: float
    before: float
    seen: int
    steps: int

    @property
    def whole(self) -> float:
        """One cycle."""
        return self.data + self.compute + self.other


@dataclass(frozen=True)
class Spot:
    """A line at which the training thread was found, and how often.

    phase    `data`, `before`, `compute` or `other`; inside: within the call of a module
    """

    line: Line
    phase: str
    inside: bool
    count: int


def cycles(record: Record) -> Cycles | None:
    """The means; None when too few cycles were seen."""
    written = [step for step, _ in record.series("time.apart")]
    weights = {
        step: step - max(before, WARM)
        for before, step in zip([0, *written], written, strict=False)
        if step > WARM
    }
    parts = {name: dict(record.series(f"time.{name}")) for name in _PARTS}
    known = {step: weight for step, weight in weights.items() if step in parts["data"]}
    seen = sum(known.values())
    if seen < ENOUGH:
        return None
    means = {
        name: sum(values.get(step, 0.0) * weight for step, weight in known.items()) / seen
        for name, values in parts.items()
    }
    return Cycles(**means, seen=seen, steps=record.steps)


_PARTS = ("data", "compute", "other", "before")


def mean_of(record: Record, signal: str) -> float | None:
    """The mean of a share over a run, its beginning left out; None when it was not measured."""
    values = [value for step, value in record.series(signal) if step > WARM]
    return sum(values) / len(values) if values else None


def spots(record: Record) -> list[Spot]:
    """Lines of the program at which the training thread was found, most frequent first."""
    told = record.of("whereabouts")
    lines = told[-1].facts["lines"] if told else []
    found = [(record.line(number), *rest) for number, *rest in lines]
    return [Spot(line, *rest) for line, *rest in found if line is not None]


def reads(record: Record) -> list[Event]:
    """The newest counts of the lines that read in most cycles, the dearest first."""
    newest = {event.line: event for event in record.of("reads") if event.line is not None}
    last = max((event.facts["cycles"] for event in newest.values()), default=0)
    same = [e for e in newest.values() if e.facts["cycles"] == last and 2 * e.facts["read"] > last]
    return sorted(same, key=lambda event: -event.facts["looping"])


def seconds(value: float) -> str:
    """A time as a person says it: `3.2 ms`, `41 s`."""
    if value >= 1:
        return f"{value:.0f} s" if value >= 10 else f"{value:.1f} s"  # noqa: PLR2004  # digits
    return f"{1e3 * value:.3g} ms" if value >= 1e-3 else f"{1e6 * value:.3g} us"  # noqa: PLR2004
