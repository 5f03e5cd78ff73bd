"""Whether the rows that a model is judged on are those that it learned from, and stay the same.

`turns` events are told of in `turns.py`; `overlap` events, one a judged set:

rows, shared   different rows judged, and those among them that had been learned from before
clean          share of the batches, in the later half of the passes, of which at most 3 % had been
               learned from: one line may judge several sets
known          different learned rows that are known (up to 20,000); `covered`: the share of them
               that is judged
near           of the judged rows that are kept, the share whose nearest learned row is another one
               but differs in at most one column of twenty; `equal`: the share that was learned
               from; both None where nothing is shared. Rows of little information equal each other
               by chance, and then are near each other oftener still
repeated       learned rows that had come before; `expected`: how many would have if the steps
               between two validations were one epoch of the same rows, None where there were no two
sources        where the learned rows came from: of each graph, data loader (0: none) and line the
               different `rows`, those `shared` with the rows judged after they had been learned
               from, and the optimizer steps done at the `first` and the `last`; `last_judged`
               likewise of the judged rows
alternating    of the judged batches, the share with a backward pass since the one before
labelled       judged rows whose labels were seen; `derived`: share of batches that another model
               had made
passes         validation passes seen; `recurring`: of the rows of the second, the share that came
               in the first; `labels_same`: whether their labels came in the same order; `labels`:
               how many different ones the first pass had; `turns`: rows of the first pass over its
               labels, or how often these and their rows repeat themselves, whichever is more;
               `kin`: distance of a row to the one in its place in the other pass, over that to
               another one of its label: below one where both come from one row, None where rows
               recur
shift          difference of the means of learned and judged inputs, in deviations of the learned;
               `scale`: deviation of the judged over that of the learned;
               `columns`: greatest difference of one column's means in standard errors
"""

import itertools
import math
import statistics
from collections import Counter
from typing import Any

import torch

from torchdx.events.recorder import Recorder
from torchdx.events.sampling import Quiet
from torchdx.instruments.batches import DIGESTS, Batches, Table
from torchdx.instruments.tensors import unseen

_GROWN = 1.5
_CLEAN = 0.03  # share of the rows; a row of iris comes twice, which is 0.025 of a judged set
_NEAR = 0.05  # share of the columns in which rows may differ that are near each other
_COMPARED = 300, 1_000  # judged and learned rows that are compared at most
_SOURCES = 8  # of each graph that are told
_TURNS = 16  # copies of a row that are judged together at most
_KIN = 0.95  # of the distance of rows with one label: copies of one row are nearer


class Overlap(Quiet):
    """Holds each judged set against what its model learned from."""

    def __init__(self, recorder: Recorder, batches: Batches) -> None:
        self._recorder, self._batches = recorder, batches
        self._told: dict[int, tuple[int, int]] = {}
        self._turned: dict[str, int] = {}

    def flush(self) -> None:
        """Write down what has changed since the last time."""
        for path, turns in self._batches.turns.items():
            measured = [turn for turn in turns.turns if turn.since]
            if len(measured) > self._turned.get(path, 0):
                self._turned[path] = len(measured)
                line = next((t.line for t in self._batches.judged_tables() if t.path == path), None)
                told = [turn.facts() for turn in turns.turns]
                self._recorder.event("turns", line=line or 0, model=path, turns=told)
        for judged in self._batches.judged_tables():
            own = [t for t in self._batches.learned_tables() if t.path == judged.path]
            own = [t for t in own if t.shape == judged.shape and t.dtype == judged.dtype]
            size = judged.rows + sum(t.rows for t in own)
            known, shared = self._told.get(id(judged), (0, 0))
            if not own or (size < _GROWN * known and len(judged.learned_before) <= _GROWN * shared):
                continue
            self._told[id(judged)] = size, len(judged.learned_before)
            with unseen():
                facts = _facts(judged, max(own, key=lambda t: t.rows)) | _sources(judged, own)
            known_as = {"model": judged.path, "set": judged.number}
            self._recorder.event("overlap", line=judged.line or 0, **known_as, **facts)


def _facts(judged: Table, learned: Table) -> dict[str, Any]:
    shared = len(judged.learned_before)
    both = sum(digest in learned.digests for digest in judged.digests)
    equal, near = _nearest(judged, learned) if shared else (None, None)
    return {
        "rows": len(judged.digests),
        "shared": shared,
        "clean": _clean(judged),
        "known": len(learned.digests),
        "covered": both / len(learned.digests),
        "equal": equal,
        "near": near,
        "labelled": sum(map(len, judged.labelled.values())),
        "derived": judged.derived / len(judged.batches),
        "alternating": judged.alternating / max(1, judged.calls - 1),
        "learned_rows": learned.rows,
        "repeated": learned.rows - len(learned.digests) if learned.rows <= DIGESTS else None,
        "expected": _expected(judged, learned),
        "judged_twice": sum(count > 1 for count in judged.digests.values()),
        **_passes(judged),
        **_moments(judged, learned),
    }


def _clean(judged: Table) -> float | None:
    steps = sorted({at for at, _ in judged.shares})
    shares = [share for at, share in judged.shares if at >= steps[len(steps) // 2]]
    return sum(share <= _CLEAN for share in shares) / len(shares) if shares else None


def _expected(judged: Table, learned: Table) -> float | None:
    """Rows that come again when each epoch goes once through the same rows."""
    between = [late - early for early, late in itertools.pairwise(sorted(judged.passes))]
    if not between:
        return None
    epoch, size = statistics.median_low(between), learned.rows / len(learned.batches)
    counts = Counter(at // epoch for at, _ in learned.batches)
    missed = math.prod(max(0.0, 1 - count / epoch) for count in counts.values())
    return learned.rows - epoch * size * (1 - missed)


def _sources(judged: Table, own: list[Table]) -> dict[str, Any]:
    found = [
        {
            "graph": table.number,
            "loader": loader,
            "line": line,
            "rows": len(source.digests),
            "shared": len(source.digests & judged.learned_before),
            "first": source.first,
            "last": source.last,
        }
        for table in own
        for (loader, line), source in list(table.sources.items())[:_SOURCES]
    ]
    return {"sources": found, "last_judged": judged.batches[-1][0]}


def _passes(judged: Table) -> dict[str, Any]:
    passes = list(judged.passes)
    if len(passes) < 2:  # noqa: PLR2004  # nothing to compare
        return {"passes": len(passes), "recurring": None, "labels_same": None}
    first, second = (judged.passes[p] for p in passes[:2])
    second, known = second[: len(first)], set(first)
    recurring = sum(d in known for d in second) / len(second)
    one, two = (judged.labelled.get(p, []) for p in passes[:2])
    same = one[: len(two)] == two[: len(one)] if one and two else None
    return {
        "passes": len(passes),
        "recurring": recurring,
        "labels_same": same,
        "labels": len(set(one)),
        "turns": max(len(first) / len(one), _turns(judged.matrix(), one)) if one else None,
        "kin": _kin(judged.matrix(), len(first), one) if same and recurring < 1 else None,
    }


def _kin(rows: torch.Tensor, between: int, labels: list[float]) -> float | None:
    """Mean distance of rows `between` places apart over that of others with one label.

    Two standard errors of each are held against the first, so that few rows are not kin by chance.
    """
    size = min(len(labels), len(rows) - between)
    if size < 2:  # noqa: PLR2004  # no deviation
        return None
    own, again = rows[:size], rows[between : between + size]
    order = torch.tensor(labels[:size]).argsort(stable=True)
    known = torch.tensor(labels[:size])[order]
    other = torch.stack([order.roll(1), order]).T[known == known.roll(1)]
    if len(other) < 2:  # noqa: PLR2004  # no deviation
        return None
    paired = (own - again).norm(dim=1)
    strange = (own[other[:, 0]] - again[other[:, 1]]).norm(dim=1)
    most = paired.mean() + 2 * paired.std() / size**0.5
    least = strange.mean() - 2 * strange.std() / len(other) ** 0.5
    return float(most / least) if float(least) > 0 else None


def _turns(rows: torch.Tensor, labels: list[float]) -> int:
    """How often a list of labels is one shorter list over again, of copies of the same rows."""
    size = len(labels)
    whole = (k for k in range(_TURNS, 1, -1) if size % k == 0 and len(set(labels)) > 1)
    same = (k for k in whole if labels[: size // k] * k == labels)
    return next((k for k in same if (_kin(rows[:size], size // k, labels) or 1) < _KIN), 1)


def _nearest(judged: Table, learned: Table) -> tuple[float, float] | tuple[None, None]:
    """Shares of judged rows that are among the learned ones, and that are nearly so."""
    rows, others = judged.matrix()[: _COMPARED[0]], learned.matrix()
    others = others[:: max(1, len(others) // _COMPARED[1])][: _COMPARED[1]]
    varied = (others != others[0]).any(0)
    if not bool(varied.any()):
        return None, None
    rows, others = rows[:, varied], others[:, varied]
    apart = torch.stack([(others != row).float().mean(1) for row in rows])
    least = apart.masked_fill(apart == 0, 1.0).amin(1)
    most = max(_NEAR, 1.0 / rows.shape[1])
    return float((apart == 0).any(1).float().mean()), float((least <= most).float().mean())


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
