"""A record as plain rows: a signal at a place, at a step, and its value."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from torchdx.record.model import Phase, Record, Series

_DENSE_RATES = 200  # a record that holds fewer learning rates holds every change of them


class Row(NamedTuple):
    """One value.

    signal  `thing.measure`; place   module, parameter, graph or optimizer, `""` for the run
    """

    signal: str
    place: str
    step: int
    value: float

    @property
    def tag(self) -> str:
        """`activation.std/features.0`; `loss/training` where the place is the run itself."""
        return f"{self.signal}/{self.place}" if self.place else self.signal.replace(".", "/", 1)


def rows(record: Record) -> list[Row]:
    """Loss, validation, learning rates, norms and all signals, each series in order of steps."""
    found = [
        ("loss.training", "", record.losses),
        *_validation(record),
        *_rates(record),
        *_norms(record),
        *((s, place, series) for s, at in record.signals.items() for place, series in at.items()),
    ]
    return [
        Row(signal, place, step, value)
        for signal, place, series in found
        for step, value in sorted(series, key=lambda pair: pair[0])
    ]


def by_step(table: Iterable[Row]) -> Iterator[tuple[int, list[Row]]]:
    """The rows of each step, steps rising."""
    step = attrgetter("step")
    for number, group in groupby(sorted(table, key=step), key=step):
        yield number, list(group)


def _validation(record: Record) -> Iterator[tuple[str, str, Series]]:
    """What the model scored over its validation passes."""
    passes = [phase for phase in record.phases if phase.validation]
    several = len({(phase.model, phase.loader) for phase in passes}) > 1
    for measure in ("loss", "accuracy"):
        series: dict[str, Series] = {}
        for phase in passes:
            value = getattr(phase, measure)
            if value is not None:
                place = _loader(phase) if several else ""
                series.setdefault(place, []).append((phase.step, value))
        yield from ((f"{measure}.validation", place, values) for place, values in series.items())


def _loader(phase: Phase) -> str:
    loader = f"loader {phase.loader}" if phase.loader else "no loader"
    return f"{phase.model}, {loader}" if phase.model else loader


def _rates(record: Record) -> Iterator[tuple[str, str, Series]]:
    """Learning rates: a rate holds until the next one, and the last to the end of the run."""
    whole = sum(len(optimizer.lrs) for optimizer in record.optimizers.values()) < _DENSE_RATES
    for number, optimizer in record.optimizers.items():
        held = list(optimizer.lrs)
        if whole and held:
            following = [step for step, _ in held[1:]] + [max(optimizer.steps, held[-1][0]) + 1]
            ends = ((end - 1, rate) for (_, rate), end in zip(held, following, strict=True))
            held = sorted({*held, *ends})
        yield "optimizer.lr", str(number), held


def _norms(record: Record) -> Iterator[tuple[str, str, Series]]:
    """Norms over all parameters of an optimizer, at the steps that were measured closely."""
    for number in record.optimizers:
        looks = record.looks_of(number)
        for signal, name in (
            ("optimizer.gradient_norm", "grad_norm"),
            ("optimizer.weight_norm", "weight_norm"),
            ("optimizer.update_norm", "update_norm"),
        ):
            values = ((look.step, getattr(look, name)) for look in looks)
            yield signal, str(number), [(step, v) for step, v in values if v is not None]
