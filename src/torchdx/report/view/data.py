"""What the batches hold: shares of labels, what inputs look like, what repeats."""

from collections.abc import Iterator
from typing import Any, TypedDict

from torchdx.record.model import Record
from torchdx.report.view.numbers import Number, short

MOST_CLASSES = 100


class Labels(TypedDict):
    """Share of each class among the labels that were seen, and how many labels these were."""

    shares: list[Number]
    rows: int


class Gradients(TypedDict):
    """The loss's gradient by the outputs of the first batch: a row each, an output a column."""

    rows: list[list[Number]]
    step: int


class Data(TypedDict):
    """Facts of the data, `facts` as (what, value)."""

    labels: Labels | None
    outputs: Gradients | None
    facts: list[tuple[str, str]]


def data_of(record: Record) -> Data:
    """What is known of what the model was given."""
    return Data(labels=_labels(record), outputs=_gradients(record), facts=list(_facts(record)))


def _labels(record: Record) -> Labels | None:
    """Those of the learned rows, over all batches that were looked at."""
    told = [e.facts for e in record.of("targets") if e.facts.get("loss") == "classes"]
    counts = [facts["counts"] for facts in told if facts.get("counts")]
    width = len(counts[-1]) if counts else 0
    same = [c for c in counts if len(c) == width]
    total = sum(map(sum, same))
    if not total or width > MOST_CLASSES:
        return None
    sums = [sum(column) for column in zip(*same, strict=True)]
    return Labels(shares=[short(n / total) for n in sums], rows=int(total))


def _gradients(record: Record) -> Gradients | None:
    seen = record.of("output-gradients")
    rows = seen[0].facts.get("rows") if seen else None
    if not rows:
        return None
    return Gradients(rows=[[short(v, 3) for v in row] for row in rows], step=seen[0].step)


def _facts(record: Record) -> Iterator[tuple[str, str]]:
    learned = [e.facts for e in record.of("inputs") if e.facts.get("role") == "learned"]
    if learned:
        yield from _inputs(learned[0])
    targets = record.of("targets")
    if targets:
        yield from _targets(targets[0].facts)
    for facts in [e.facts for e in record.of("overlap")][-1:]:
        yield "judged rows learned from", f"{facts.get('shared', 0)} of {facts.get('rows', 0)}"
    if skipped := len(record.of("skipped-data")):
        yield "batches with NaN left out", str(skipped)


def _inputs(facts: Any) -> Iterator[tuple[str, str]]:
    shape = " x ".join(str(length) for length in facts.get("shape", ()))
    yield "inputs", f"{shape or 'one number'} a row, {facts.get('dtype', '')}"
    if facts.get("mean") is not None:
        spread = f"mean {facts['mean']:.3g}, deviation {facts['std']:.3g}"
        yield "range", f"{facts['min']:.3g} .. {facts['max']:.3g} ({spread})"
    if facts.get("constant"):
        yield "constant columns", f"{facts['constant']:.1%}"
    if facts.get("rows"):
        yield "different rows in the first batch", f"{facts['distinct']} of {facts['rows']}"


def _targets(facts: Any) -> Iterator[tuple[str, str]]:
    kind = {"classes": "classes", "numbers": "numbers"}.get(facts.get("loss", ""), "targets")
    low, high = facts.get("min"), facts.get("max")
    if low is not None and high is not None:
        yield kind, f"{low:.4g} .. {high:.4g}, {facts.get('distinct', '?')} different"
