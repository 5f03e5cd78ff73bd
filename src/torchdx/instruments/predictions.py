"""Measures what the loss was given: how sure, how one-sided, how right; and what it was asked for.

Signals, one place a loss (the number of its graph), at sampled steps:

batch.rows                  rows that the loss was computed over
prediction.entropy          mean entropy of a row's predicted classes, or units, in nats
prediction.top_share        largest share that one class has among the most likely ones
prediction.accuracy         share of rows whose most likely class (unit above one half) is right
prediction.mean, .std, .min, .max   of the predicted values; of probabilities for units
prediction.correlation      of predicted and wanted values over the batch
target.entropy              entropy of the labels in the batch, in nats
target.mean, .std, .min, .max       of the wanted values
loss.head                   mean loss of a row as torch's loss would give it, in nats or squares

`targets` events keep what was asked for so far: counts of classes, how many different values, rows
left out by `ignore_index`, ...
"""

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn import functional

from torchdx.events.glimpse import Glimpse
from torchdx.events.recorder import Recorder, Sparse
from torchdx.events.sampling import Quiet
from torchdx.graph.heads import Head
from torchdx.instruments.tensors import unseen

MAX_CLASSES = 1_000  # classes that are counted one by one
MAX_DISTINCT = 1_000  # different target values that are remembered
TABLE = 12  # rows and classes of the table of output gradients
HALF = 0.5  # a unit says yes above it
_CONFIDENT = 1e-12


@dataclass
class _Asked:
    """What one loss was asked for until now."""

    kind: str
    op: str
    classes: int
    normal: bool
    rows: int = 0
    counts: list[float] = field(default_factory=list)
    distinct: set[float] = field(default_factory=set)
    whole: bool = True
    low: float = math.inf
    high: float = -math.inf
    total: float = 0.0
    squares: float = 0.0
    values: int = 0
    row_sum: tuple[float, float] = (math.inf, -math.inf)
    several: int = 0  # rows with more than one label, and with none
    none: int = 0
    ties: int = 0  # rows whose shares are equal among several classes and nothing else
    ignored: int = 0
    ignore_index: int | None = None
    first: dict[str, Any] = field(default_factory=dict)
    told: int = 0


class Predictions(Quiet):
    """Reads the head of each sampled loss."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._asked: dict[int, _Asked] = {}
        self._tables = Sparse(1, ratio=4.0)

    def learned(self, glimpse: Glimpse) -> None:
        """A sampled loss has gone backward."""
        head = glimpse.head
        if head is None or not len(head.given) or bool(head.given.isnan().any()):
            return
        place = str(glimpse.graph)
        with unseen():
            values = _MEASURES[head.kind](head)
            values["batch.rows"] = float(len(head.given))
            signals = {k: {place: v} for k, v in values.items() if math.isfinite(v)}
            self._recorder.signals(glimpse.step, signals)
            self._ask(glimpse, head, values)

    def flush(self) -> None:
        """Write down what was asked for, where it has grown."""
        for graph, asked in self._asked.items():
            if asked.rows > asked.told:
                asked.told = asked.rows
                self._recorder.event("targets", line=0, graph=graph, **_facts(asked))

    def _ask(self, glimpse: Glimpse, head: Head, values: dict[str, float]) -> None:
        asked = self._asked.get(glimpse.graph)
        if asked is None:
            asked = _Asked(head.kind, head.op, head.given.shape[1], head.normal)
            asked.counts = [0.0] * min(asked.classes, MAX_CLASSES)
            asked.first = _first(glimpse, head, values)
            self._asked[glimpse.graph] = asked
        if head.given.shape[1] == asked.classes:
            _count(asked, head)
        if head.kind == "classes" and head.normal and self._tables.due(glimpse.step):
            self._recorder.event("output-gradients", line=glimpse.line, **_table(head))


def _classes(head: Head) -> dict[str, float]:
    chances = head.given.exp()
    best = head.given.argmax(1)
    wanted = head.target if head.kind == "classes" else head.target.argmax(1)
    classes = head.given.shape[1]
    shares = torch.bincount(best, minlength=classes).float() / len(best)
    asked = torch.bincount(wanted.clamp(0, classes - 1), minlength=classes).float() / len(best)
    if head.kind == "classes":
        loss = functional.nll_loss(head.given, wanted.clamp(0, classes - 1))
    else:
        loss = -(head.given * head.target).sum(1).mean()
    return {
        "prediction.entropy": float(-(chances * head.given.clamp_min(-100)).sum(1).mean()),
        "prediction.top_share": float(shares.max()),
        "prediction.accuracy": float((best == wanted).float().mean()),
        "target.entropy": float(_entropy(asked)),
        "loss.head": float(loss),
    }


def _units(head: Head) -> dict[str, float]:
    sure = head.given.clamp(_CONFIDENT, 1 - 1e-7)
    yes, wanted = sure > HALF, head.target > HALF
    most = yes.float().mean()
    entropy = -(sure * sure.log() + (1 - sure) * (1 - sure).log())
    share = head.target.mean()
    return {
        "prediction.entropy": float(entropy.mean()),
        "prediction.top_share": float(torch.maximum(most, 1 - most)),
        "prediction.accuracy": float((yes == wanted).float().mean()),
        "target.entropy": float(_entropy(torch.stack([share, 1 - share]))),
        "loss.head": float(functional.binary_cross_entropy(sure, head.target.clamp(0, 1))),
        **_moments("prediction", sure),
        **_moments("target", head.target),
    }


def _values(head: Head) -> dict[str, float]:
    given, wanted = head.given.double(), head.target.double()
    inner = ((given - given.mean()) * (wanted - wanted.mean())).mean()
    spread = given.std(correction=0) * wanted.std(correction=0)
    return {
        "prediction.correlation": float(inner / spread) if float(spread) else math.nan,
        "loss.head": float(((given - wanted) ** 2).mean()),
        **_moments("prediction", given),
        **_moments("target", wanted),
    }


_MEASURES = {"classes": _classes, "soft": _classes, "units": _units, "values": _values}


def _entropy(shares: torch.Tensor) -> torch.Tensor:
    return -(shares * shares.clamp_min(_CONFIDENT).log()).sum()


def _moments(what: str, values: torch.Tensor) -> dict[str, float]:
    return {
        f"{what}.mean": float(values.mean()),
        f"{what}.std": float(values.std(correction=0)),
        f"{what}.min": float(values.min()),
        f"{what}.max": float(values.max()),
    }


def _first(glimpse: Glimpse, head: Head, values: dict[str, float]) -> dict[str, Any]:
    """How the first sampled batch was answered before anything, or little, was learnt."""
    mean = head.given.exp() if head.kind in {"classes", "soft"} else head.given
    return {
        "step": glimpse.step,
        "loss": values["loss.head"],
        "root": float(glimpse.root.detach().reshape(-1)[0]),
        "answer": [round(v, 6) for v in mean.mean(0)[:MAX_CLASSES].tolist()],
        "spread": float(mean.std(0, correction=0).mean()),
    }


def _count(asked: _Asked, head: Head) -> None:
    target = head.target
    asked.rows += len(target)
    asked.ignored, asked.ignore_index = asked.ignored + head.ignored, head.ignore_index
    asked.low, asked.high = (
        min(asked.low, float(target.min())),
        max(asked.high, float(target.max())),
    )
    if head.kind == "classes":
        inside = target[(target >= 0) & (target < len(asked.counts))]
        found = torch.bincount(inside, minlength=len(asked.counts)).tolist()
    else:
        found = target.double().sum(0)[: len(asked.counts)].tolist()
        _count_rows(asked, target)
        asked.ties += _ties(target) if head.kind == "soft" else 0
    asked.counts = [a + b for a, b in zip(asked.counts, found, strict=True)]
    flat = target.double().reshape(-1)
    asked.total, asked.squares = asked.total + float(flat.sum()), asked.squares + float(flat @ flat)
    asked.values += flat.numel()
    asked.whole = asked.whole and bool((flat == flat.round()).all())
    if len(asked.distinct) <= MAX_DISTINCT:
        asked.distinct.update(flat[:MAX_DISTINCT].tolist())


def _count_rows(asked: _Asked, target: torch.Tensor) -> None:
    """How many labels rows have: for targets that are shares or yes and no."""
    sums = target.sum(1)
    asked.row_sum = (
        min(asked.row_sum[0], float(sums.min())),
        max(asked.row_sum[1], float(sums.max())),
    )
    asked.several += int((sums > 1.5).sum())  # noqa: PLR2004  # two labels or more
    asked.none += int((sums < 0.5).sum())  # noqa: PLR2004  # not one


def _ties(shares: torch.Tensor) -> int:
    """Rows that share one probability out equally among two classes or more."""
    most = shares.amax(1, keepdim=True)
    equal = ((shares - most).abs() < 1e-4 * most).sum(1)  # float32 rounds so
    return int(((equal > 1) & ((equal * most[:, 0] - 1).abs() < 1e-3)).sum())  # noqa: PLR2004


def _facts(asked: _Asked) -> dict[str, Any]:
    mean = asked.total / max(1, asked.values)
    return {
        "loss": asked.kind,
        "op": asked.op,
        "classes": asked.classes,
        "normal": asked.normal,
        "rows": asked.rows,
        "counts": [round(c, 4) for c in asked.counts],
        "distinct": min(len(asked.distinct), MAX_DISTINCT),
        "whole": asked.whole,
        "min": asked.low,
        "max": asked.high,
        "mean": mean,
        "variance": max(0.0, asked.squares / max(1, asked.values) - mean**2),
        "row_sum": None if asked.kind == "classes" else list(asked.row_sum),
        "several": asked.several,
        "none": asked.none,
        "ties": asked.ties,
        "ignored": asked.ignored,
        "ignore_index": asked.ignore_index,
        "first": asked.first,
    }


def _table(head: Head) -> dict[str, Any]:
    """The gradient of the mean loss by each row's scores: its probabilities less its label."""
    chances = head.given[:TABLE, :TABLE].exp()
    labels = functional.one_hot(head.target[:TABLE], head.given.shape[1])[:, :TABLE]
    rows = ((chances - labels) / len(head.given)).tolist()
    return {"rows": [[round(v, 6) for v in row] for row in rows]}
