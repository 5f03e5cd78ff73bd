"""Whether the rows that a model is judged on are those that it learned from, and stay the same.

`overlap` events, one a judged set:

rows, shared   different rows judged, and those among them that were learned from
within         share of learned rows that come more than once at the same step distance: how often
               rows equal each other by chance, `repeated / rows` of the learned table
known          different learned rows that are known (up to 20,000)
passes         validation passes seen; `recurring`: of the rows of the second, the share that came
               in the first; `labels_same`: whether their labels came in the same order
shift          difference of the means of learned and judged inputs, in deviations of the learned;
               `scale`: deviation of the judged over that of the learned;
               `columns`: greatest difference of one column's means in standard errors
"""

from typing import Any

import torch

from torchdx.events.recorder import Recorder
from torchdx.events.sampling import Quiet
from torchdx.instruments.batches import Batches, Table
from torchdx.instruments.tensors import unseen

_GROWN = 1.5


class Overlap(Quiet):
    """Holds each judged set against what its model learned from."""

    def __init__(self, recorder: Recorder, batches: Batches) -> None:
        self._recorder, self._batches = recorder, batches
        self._told: dict[int, int] = {}

    def flush(self) -> None:
        """Write down what has changed since the last time."""
        for judged in self._batches.judged_tables():
            own = [t for t in self._batches.learned_tables() if t.path == judged.path]
            own = [t for t in own if t.shape == judged.shape and t.dtype == judged.dtype]
            size = judged.rows + sum(t.rows for t in own)
            if not own or size < _GROWN * self._told.get(id(judged), 0):
                continue
            self._told[id(judged)] = size
            with unseen():
                facts = _facts(judged, max(own, key=lambda t: t.rows))
            known_as = {"model": judged.path, "set": judged.number}
            self._recorder.event("overlap", line=judged.line or 0, **known_as, **facts)


def _facts(judged: Table, learned: Table) -> dict[str, Any]:
    shared = sum(digest in learned.digests for digest in judged.digests)
    return {
        "rows": len(judged.digests),
        "shared": shared,
        "known": len(learned.digests),
        "learned_rows": learned.rows,
        "judged_twice": sum(count > 1 for count in judged.digests.values()),
        **_passes(judged),
        **_moments(judged, learned),
    }


def _passes(judged: Table) -> dict[str, Any]:
    passes = list(judged.passes)
    if len(passes) < 2:  # noqa: PLR2004  # nothing to compare
        return {"passes": len(passes), "recurring": None, "labels_same": None}
    first, second = (judged.passes[p] for p in passes[:2])
    recurring = sum(d in set(first) for d in second) / len(second)
    one, two = (judged.labelled.get(p, []) for p in passes[:2])
    same = one[: len(two)] == two[: len(one)] if one and two else None
    return {"passes": len(passes), "recurring": recurring, "labels_same": same}


def _moments(judged: Table, learned: Table) -> dict[str, float | None]:
    if not judged.sums or judged.sums["sum"].shape != learned.sums["sum"].shape:
        return {}
    (mean, deviation), (other, spread) = _of(learned), _of(judged)
    error = (deviation**2 / len(learned.digests) + spread**2 / len(judged.digests)).sqrt()
    moved = torch.where(error > 0, (mean - other).abs() / error.clamp_min(1e-30), 0.0)
    overall, theirs = _overall(learned), _overall(judged)
    return {
        "shift": float((other.mean() - mean.mean()) / overall) if overall else None,
        "scale": theirs / overall if overall else None,
        "columns": float(moved.max()),
        "moved": float(moved.median()),
    }


def _of(table: Table) -> tuple[torch.Tensor, torch.Tensor]:
    mean = table.sums["sum"] / table.rows
    variance = table.sums["squares"] / table.rows - mean**2
    return mean, variance.clamp_min(0).sqrt()


def _overall(table: Table) -> float:
    mean = table.sums["sum"] / table.rows
    power = table.sums["squares"] / table.rows
    return float((power.mean() - mean.mean() ** 2).clamp_min(0).sqrt())
