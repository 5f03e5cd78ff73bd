"""Where the time of a step goes, and what the training thread did meanwhile."""

from statistics import fmean, median
from typing import TypedDict

from torchdx.record.model import Record
from torchdx.report.view.numbers import Number, short


class Split(TypedDict):
    """Parts of a whole: (name, size) each, sizes in `unit`."""

    title: str
    unit: str
    parts: list[tuple[str, Number]]


_STEP = {"data": "time.data", "computing": "time.compute", "other": "time.other"}
_THREAD = {"on a core": "running", "waiting for a core": "queued", "blocked": "blocked"}


def time_of(record: Record) -> list[Split]:
    """Medians of seconds and means of shares over the sampled steps; empty where none was timed."""
    splits = [
        _split(record, "a step", "ms", _STEP, 1e3),
        _split(record, "the training thread", "share", _named("thread"), 1),
        _split(record, "a wait for data", "share", _named("wait"), 1),
    ]
    return [split for split in splits if split["parts"]]


def _named(thing: str) -> dict[str, str]:
    return {name: f"{thing}.{measure}" for name, measure in _THREAD.items()}


def _split(record: Record, title: str, unit: str, signals: dict[str, str], factor: float) -> Split:
    parts = []
    for name, signal in signals.items():
        values = [value for _, value in record.series(signal)]
        if values:
            middle = fmean(values) if unit == "share" else median(values)
            parts.append((name, short(factor * middle, 3)))
    return Split(title=title, unit=unit, parts=parts)
