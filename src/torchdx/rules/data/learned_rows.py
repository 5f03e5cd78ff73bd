"""What is known of the rows that models learned from: shared by the rules beside it."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

from torchdx.graph.model import Line
from torchdx.record.model import Event, Json, Record, Series
from torchdx.rules.series import EARLY, LEAST, late

_NOTHING: Json = {}
_LOSSES = ("NllLoss", "BinaryCrossEntropy", "MseLoss", "SmoothL1Loss", "HuberLoss")


@dataclass(frozen=True)
class Learned:
    """One table of rows that a model learned from, and what its loss asked for.

    inputs       facts of its `inputs` event
    neighbours   facts of its `neighbours` event, empty when there is none
    targets      facts of the `targets` event of its loss, empty when the loss is of no known kind
    """

    record: Record
    inputs: Json
    neighbours: Json
    targets: Json
    line: Line | None

    @property
    def model(self) -> str:
        """Path of the model that was given the rows."""
        return str(self.inputs["model"])

    @property
    def kind(self) -> str:
        """The loss: `classes`, `soft`, `units`, `values`, or empty."""
        return str(self.inputs.get("loss", ""))

    @property
    def floats(self) -> bool:
        """Whether the rows hold numbers, not codes of words or of classes."""
        return str(self.inputs["dtype"]).startswith(("float", "bfloat"))

    @property
    def size(self) -> float:
        """Root mean square of all elements."""
        return math.hypot(self.inputs["mean"], self.inputs["std"])

    @property
    def places(self) -> list[str]:
        """Paths of the model's measured modules, in the order in which they were called."""
        inner = self.model + "." if self.model else ""
        places = self.record.signals.get("activation.std", {})
        return [place for place in places if place.startswith(inner)]

    @property
    def first(self) -> str:
        """The first of these, empty when there is none."""
        return next(iter(self.places), "")

    @property
    def classes(self) -> list[str]:
        """The classes of these modules, empty where not known."""
        known = {path: cls for model in self.record.models for path, cls in model.modules.items()}
        return [known.get(place, "") for place in self.places]

    @property
    def loss_line(self) -> Line | None:
        """Where the labels meet the answers, else where the model is called."""
        return loss_line(self.record, self.inputs["set"]) or self.line

    def signal(self, name: str) -> Series:
        """A signal of the loss over these rows."""
        return self.record.series(name, str(self.inputs["set"]))

    def judged(self, kind: str) -> list[Json]:
        """The latest `inputs` or `neighbours` of each set that the model was judged on."""
        events = _latest(self.record, kind).values()
        own = (event.facts for event in events if event.facts["role"] == "judged")
        return [facts for facts in own if facts["model"] == self.model]

    @property
    def held_out(self) -> list[float]:
        """The accuracies of its validation passes, in order."""
        passes = (p for p in self.record.phases if p.validation and p.model in {"", self.model})
        return [p.accuracy for p in passes if p.accuracy is not None]

    @property
    def base(self) -> float | None:
        """The share of the commonest label, None where labels are no classes."""
        shares = self.shares
        return max(shares) if shares else None

    @property
    def shares(self) -> list[float]:
        """How often each class was asked for; for single units no and yes; empty for the rest."""
        counts, rows = self.targets.get("counts", ()), self.targets.get("rows", 0)
        if not rows or self.kind not in {"classes", "units"}:
            return []
        if self.kind == "classes":
            total = sum(counts)
            return [count / total for count in counts] if total else []
        share = counts[0] / rows
        return [1 - share, share] if len(counts) == 1 and 0 <= share <= 1 else []

    @property
    def plain_loss(self) -> float | None:
        """The loss of whoever knows how common the labels are and nothing else."""
        if self.kind == "values":
            return float(self.targets["variance"]) if self.targets else None
        shares = self.shares
        return entropy(shares) if shares else None


def learned(record: Record) -> Iterator[Learned]:
    """The tables of rows that models learned from, the largest first."""
    inputs, near = _latest(record, "inputs"), _latest(record, "neighbours")
    targets = {event.facts["graph"]: event.facts for event in record.of("targets")}
    own = [(key, event) for key, event in inputs.items() if key[0] == "learned"]
    for key, event in sorted(own, key=lambda pair: -pair[1].facts["rows"]):
        neighbours = near[key].facts if key in near else _NOTHING
        asked = targets.get(event.facts["set"], _NOTHING)
        yield Learned(record, event.facts, neighbours, asked, event.line)


def loss_line(record: Record, graph: int) -> Line | None:
    """The line of a loss, by the number of its graph; else where its backward is called."""
    known = record.graphs.get(graph)
    if known is None:
        return None
    made = (node.line for node in known.nodes if node.op.startswith(_LOSSES))
    return next((line for line in made if line is not None), known.backward)


def _latest(record: Record, kind: str) -> dict[tuple[Any, ...], Event]:
    events = record.of(kind)
    return {(e.facts["role"], e.facts["model"], e.facts["set"]): e for e in events}


def entropy(shares: list[float]) -> float:
    """In nats."""
    return -sum(share * math.log(share) for share in shares if share > 0)


def begun(series: Series) -> float | None:
    """The median of the first values, None when there are none."""
    return median(value for _, value in series[:EARLY]) if series else None


def ended(series: Series) -> float | None:
    """The median of the last quarter, None where there are too few."""
    return late(series, LEAST)


def gain(score: float, base: float) -> float:
    """How far a share of right answers has come from `base` to all: 0 to 1."""
    return (score - base) / (1 - base) if base < 1 else 0.0
