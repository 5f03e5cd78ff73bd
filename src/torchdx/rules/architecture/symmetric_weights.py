"""symmetric-weights (A04): hidden units began equal, and training keeps them equal.

## What is seen
Units of a hidden layer whose incoming weights are equal to those of another unit, element by
element, at the start and still after optimizer steps that changed the weights; or a hidden layer of
zeros that never changed.
## Why the net does not learn
Units that begin with the same incoming and outgoing weights answer alike, get the same gradient and
stay alike: however many there are, they count as one. Zeros on both sides get no gradient at all.
## When this is wrong
A last layer that begins at zero is harmless, as is one half of an adapter (LoRA): the other side
is drawn at random, and after the first step its units differ. Such layers are not told, nor the
output layer, whose classes without rows stay equal.
## What to try
Draw weights at random (torch's own default does); keep constants for biases. To widen a trained
net, copy units with a little noise.
## Sources
Glorot & Bengio 2010; Goodfellow, Bengio & Courville 2016, section 8.4 (breaking symmetry); Stack
Overflow 48027263 and 42516484; Chen et al. 2016, "Net2Net" (noise when units are copied).
"""

from collections.abc import Iterator
from typing import NamedTuple

from torchdx.graph.model import LossGraph
from torchdx.record.model import Record
from torchdx.rules.architecture.layers import LINEAR, Linear
from torchdx.rules.architecture.stages import Stage, chain, main_graph, stages
from torchdx.rules.base import Answer, Evidence, Excluded, Finding, Prescription, rule

# Units that equal another one bit by bit are a fact; random weights have none. A part of a layer
# may have been pruned or be padding, so that a quarter is asked for. Healthy 0.0, sick 1.0.
ALIKE = 0.25
STEPS = 4  # before which zero-initialised branches may still be equal


class _Alike(NamedTuple):
    """A layer with equal units: their share at first and at the last look, at step `at`."""

    stage: Stage
    first: float
    last: float
    at: int
    still: bool


@rule("A04", "symmetric-weights", silences="A08 A13 D06 O02 A06")
def check(record: Record) -> Iterator[Answer]:
    """One finding with all such layers of the commonest loss graph."""
    graph = main_graph(record)
    if graph is None:
        return
    way = chain(graph)
    known = {stage.layer.node.index for stage in way}
    rest = [stage for index, stage in stages(graph).items() if index not in known]
    looked = (_alike(record, graph, stage) for stage in (*way, *rest))
    found = [alike for alike in looked if alike is not None]
    if found:
        yield _finding(record, found)


def _alike(record: Record, graph: LossGraph, stage: Stage) -> _Alike | None:
    weight = stage.layer.weight
    series = record.series("weight.alike", weight)
    if not stage.feeds or not series or series[0][0] > 1 or series[-1][0] < STEPS:
        return None
    first, (at, last) = series[0][1], series[-1]
    enough = 1.0 if _turned(graph, stage.layer) else ALIKE
    if min(value for _, value in series) < enough or weight not in record.optimized:
        return None
    moved = any(value > 0 for step, value in record.series("update.norm", weight) if step < at)
    zero = all(value == 0 for _, value in record.series("weight.norm", weight))
    if moved or (zero and record.series("weight.norm", weight)):
        return _Alike(stage, first, last, at, still=not moved)
    return None


def _turned(graph: LossGraph, layer: Linear) -> bool:
    """Whether the weight's rows are its inputs: `x @ w`, not `x @ w.T` as in torch's layers."""
    matrix = graph.input(layer.node, LINEAR[layer.node.op][1])
    return not layer.kernel and (matrix is None or matrix.op != "T")


def _finding(record: Record, found: list[_Alike]) -> Finding:
    worst = found[0]
    stage = worst.stage
    places = ", ".join(alike.stage.place for alike in found)
    if worst.still:
        text = f"all weights of {stage.place} are 0, and after {worst.at - 1} steps still are"
    else:
        text = (
            f"{worst.last:.0%} of the {stage.layer.outputs} units of {stage.place} equal another "
            f"one in every incoming weight, after {worst.at - 1} steps that changed them: they "
            "began equal and stay so"
        )
    if len(found) > 1:
        text += f"; so it is in {len(found)} layers"
    return Finding(
        text=text,
        line=stage.line(record),
        place=stage.place,
        evidence=(
            Evidence(f"share of equal units before step {worst.at}", worst.last, 0.0),
            Evidence("share of equal units at first", worst.first, 0.0),
        ),
        excluded=(
            Excluded("A02", "share of units never above zero", _dead(record, stage.place), 1.0),
        ),
        prescriptions=(
            Prescription("reinit", f"draw the weights of {places} at random", where=places),
        ),
    )


def _dead(record: Record, place: str) -> float | str:
    series = record.series("unit.dead", place)
    return series[-1][1] if series else "not measured"
