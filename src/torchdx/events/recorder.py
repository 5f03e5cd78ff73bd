"""Where all that is seen goes: onto disk and into the record that live rules read."""

import random
from collections.abc import Mapping
from typing import Any

from torchdx.events.frames import Frames
from torchdx.record.model import Record
from torchdx.record.writer import Writer


class Recorder:
    """Writes entries and keeps the facts gathered from them, the same that a reader will gather.

    `steps` counts optimizer steps: those of the optimizer that stepped most.
    """

    def __init__(self, writer: Writer, entry: str = "") -> None:
        self.writer = writer
        self.record = Record()
        self.frames = Frames(self.emit, entry)
        self.steps = 0
        self._places: dict[tuple[str, ...], int] = {}

    def emit(self, entry: dict[str, Any], *, now: bool = False) -> None:
        """Take one entry."""
        self.record.apply(entry)
        self.writer.append(entry, now=now)

    def event(self, kind: str, *, line: int | None = None, **facts: Any) -> None:
        """Take one event with what is known about it."""
        at = self.frames.here() if line is None else line
        self.emit({"e": "event", "kind": kind, "step": self.steps, "line": at, "facts": facts})

    def signals(self, step: int, values: Mapping[str, Mapping[str, float]]) -> None:
        """Take what was measured at a step: signal -> place -> value (`""`: the run itself)."""
        groups: dict[tuple[str, ...], dict[str, list[float]]] = {}
        for signal, by_place in values.items():
            if by_place:
                row = [float(f"{value:.5g}") for value in by_place.values()]
                groups.setdefault(tuple(by_place), {})[signal] = row
        for places, rows in groups.items():
            self.emit({"e": "signals", "step": step, "places": self._listed(places), "v": rows})

    def histograms(self, step: int, signal: str, by_place: Mapping[str, list[int]]) -> None:
        """Take histograms of a step, as `torchdx.record.histograms` packs them, by place."""
        places, rows = self._listed(tuple(by_place)), list(by_place.values())
        facts = {"step": step, "places": places, "signal": signal, "shares": rows}
        self.emit({"e": "histograms", **facts})

    def _listed(self, places: tuple[str, ...]) -> int:
        """The number of a list of places; it is written down once."""
        number = self._places.get(places)
        if number is None:
            number = self._places[places] = len(self._places) + 1
            self.emit({"e": "places", "id": number, "names": places})
        return number


class Sparse:
    """Chooses ever rarer counts: all of the first few, then about five each time they double.

    The distance varies at random, from a generator of its own, so that it keeps step with nothing
    periodic in the program.
    """

    def __init__(self, dense: int, ratio: float = 1.3) -> None:
        self._dense = dense
        self._ratio = ratio
        self._random = random.Random(20_261_121)  # noqa: S311  # not for secrets
        self._next = 1

    def due(self, count: int) -> bool:
        """Whether this count, from 1 and rising, is chosen."""
        if count < self._next:
            return False
        far = int(count * (1 + (self._ratio - 1) * self._random.uniform(0.7, 1.3)))
        self._next = count + 1 if count < self._dense else max(count + 1, far)
        return True
