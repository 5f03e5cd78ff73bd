"""What schedulers that wait for a metric to get better were given, and when they cut the rate.

`plateau` events, one a cut:

scheduler, mode   its number; `min` or `max`, whichever it takes for better
calls, cuts       of its `step`, and how often the rate fell, so far
other_way         of these cuts, those at which the metric was better, the other way round, than at
                  all calls before
first, lowest, highest, last   of the metric
steps             optimizer steps done
rows              the smallest number of rows of which every metric so far is a share (or a
                  percentage), 0 where there is none up to 10,000
"""

import math
from collections.abc import Sequence
from typing import Any

import torch

from torchdx.events.recorder import Recorder

_CUTS = 20  # that are told
_CALLS = 1_000  # metrics that are kept
_ROWS = 10_000
_ROUNDING = 2e-7  # of a number in single precision


class Plateaus:
    """Follows each scheduler that is given a metric."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._given: dict[int, list[float]] = {}
        self._cuts: dict[int, list[bool]] = {}

    def stepped(self, number: int, mode: str, metric: Any, steps: int, *, cut: bool) -> None:
        """A scheduler's `step` was called; `cut`: it lowered the rate."""
        try:
            value = float(metric.detach() if isinstance(metric, torch.Tensor) else metric)
        except (TypeError, ValueError, RuntimeError):
            return
        given, cuts = self._given.setdefault(number, []), self._cuts.setdefault(number, [])
        if not math.isfinite(value) or len(given) >= _CALLS:
            return
        if cut and len(cuts) < _CUTS:
            cuts.append(bool(given) and _better(value, given, low=mode == "max"))
        given.append(value)
        if cut and len(cuts) < _CUTS:
            known = {"scheduler": number, "mode": mode, "steps": steps}
            self._tell(known, given, cuts)

    def _tell(self, known: dict[str, Any], given: list[float], cuts: list[bool]) -> None:
        seen: dict[str, Any] = {
            "calls": len(given),
            "cuts": len(cuts),
            "other_way": sum(cuts),
            "first": given[0],
            "lowest": min(given),
            "highest": max(given),
            "last": given[-1],
            "rows": shares_of(given),
        }
        self._recorder.event("plateau", **known, **seen)


def _better(value: float, before: list[float], *, low: bool) -> bool:
    return value < min(before) if low else value > max(before)


def shares_of(values: Sequence[float]) -> int:
    """The smallest number of rows of which all these are shares or percentages, 0 for none."""
    if min(values) < 0 or max(values) > 100:  # noqa: PLR2004  # per cent
        return 0
    whole = 100.0 if max(values) > 1 else 1.0
    parts = sorted({value / whole for value in values})
    fits = (rows for rows in range(2, _ROWS + 1) if all(_counts(p * rows, rows) for p in parts))
    return next(fits, 0)


def _counts(value: float, rows: int) -> bool:
    return abs(value - round(value)) <= rows * _ROUNDING
