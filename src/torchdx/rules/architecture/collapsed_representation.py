"""collapsed-representation (A13): somewhere in the net all inputs look alike.

## What is seen
Either: behind some inner layer rows differ by a few percent of their size, at the start and at the
end of the run, although they differ plainly in a layer before it. Or: what the net puts out
told rows apart at first and is nearly the same for all of them now, while its loss has fallen to
nearly nothing.
## Why the net does not learn
What comes behind such a layer has to read small differences off a large constant, slowly and badly.
In the second case nothing is left to read: the loss is least when all answers are equal, because
nothing in it asks them to differ.
## When this is wrong
A layer that is fed the same for every row (a start token, learned queries) cannot tell rows apart;
it is left alone where no layer in front of it can, or where a skip connection leads around it. So
are outputs that estimate numbers far from 0, and, for the second case, losses of a known kind.
## What to try
Look at what is added in front of that layer (a position, a bias) and make it as large as the signal
or smaller; normalise before adding. For a loss on distances: add a term that keeps different things
apart (a margin, negatives, variance), or stop the gradient on one side.
## Sources
Hadsell, Chopra & LeCun 2006 (contrastive loss and its trivial solution); Bardes et al. 2022,
"VICReg" (arXiv 2105.04906); Jing et al. 2022 (arXiv 2110.09348); docs/limits.md, A13.
"""

from collections.abc import Iterator
from typing import NamedTuple

from torchdx.graph.model import LEAF, LossGraph, Node
from torchdx.record.model import Record, Series
from torchdx.rules.architecture.harm import loss_of
from torchdx.rules.architecture.stages import chain, main_graph, stages, weight_of
from torchdx.rules.base import Answer, Evidence, Excluded, Finding, Prescription, rule
from torchdx.rules.series import early, fallen, late

# Deviation over rows, over the size of what a layer puts out. Healthy inner layers behind one
# that tells rows apart 0.26 at least, outputs without a known loss 0.19; sick 0.079 and 0.087.
ALIKE = 0.12
APART = 0.4  # in a layer before, or at first; sick 0.75 and 0.45
SATISFIED = 0.05  # of the first loss that is left; sick 0.002
OUTPUTS = 2  # a single number may well be nearly constant


class _Layer(NamedTuple):
    """A layer or norm, and how much rows differ behind it: at first, and in the end."""

    place: str
    node: Node
    early: float
    late: float


@rule("A13", "collapsed-representation")
def check(record: Record) -> Iterator[Answer]:
    """One finding: the first layer that drowns its rows, or else the output that has collapsed."""
    graph = main_graph(record)
    if graph is None:
        return
    layers = layers_of(record, graph)
    drowned = next(_drowned(graph, layers), None)
    if drowned is not None:
        yield _drowning(record, *drowned)
    elif loss_of(record, graph.key) is None:
        yield from _collapse(record, graph, layers)


def layers_of(record: Record, graph: LossGraph) -> dict[int, _Layer]:
    """By their nodes: all layers with weights whose rows could be compared."""
    found = {}
    for node in graph.nodes:
        weight = weight_of(graph, node)
        place = "" if weight is None else weight.rpartition(".")[0]
        series: Series = record.series("row.spread", place) if weight is not None else []
        begun, ended = early(series), late(series)
        if begun is not None and ended is not None:
            found[node.index] = _Layer(place, node, begun, ended)
    return found


def _drowned(graph: LossGraph, layers: dict[int, _Layer]) -> Iterator[tuple[_Layer, _Layer]]:
    """Inner layers behind which rows are alike throughout, with the layer before that differs most.

    No other of them lies below, and nothing gets around it.
    """
    outputs = {index for index, stage in stages(graph).items() if not stage.feeds}
    alike = {i: at for i, at in layers.items() if max(at.early, at.late) <= ALIKE}
    for index, layer in alike.items():
        under = [node for node in graph.below(layer.node) if node.index != index]
        before = [layers[node.index] for node in under if node.index in layers]
        most = max(before, key=lambda at: min(at.early, at.late), default=None)
        if index in outputs or most is None or any(node.index in alike for node in under):
            continue
        if min(most.early, most.late) >= APART and not _passed(graph, layer.node, under):
            yield layer, most


def _passed(graph: LossGraph, node: Node, under: list[Node]) -> bool:
    """Whether something made below a node reaches the loss on a way around it: a skip."""
    waiting = [below for below in under if below.op != LEAF]
    seen = {node.index}
    while waiting:
        for user in graph.users(waiting.pop()):
            if user.index == graph.root.index:
                return True
            if user.index not in seen:
                seen.add(user.index)
                waiting.append(user)
    return False


def _drowning(record: Record, layer: _Layer, before: _Layer) -> Finding:
    return Finding(
        text=f"behind {layer.place} rows differ by {layer.late:.1%} of their size "
        f"({layer.early:.1%} at first), though by {before.late:.0%} in {before.place}, before it: "
        "something large and the same for all rows comes in between",
        line=record.made(layer.place) or layer.node.line,
        place=layer.place,
        severity="suspicion",
        confidence="strong",
        confirm=f"without what is added before {layer.place} the loss falls faster",
        evidence=(
            Evidence(f"difference of rows behind {layer.place}", round(layer.late, 4), ALIKE),
            Evidence(f"difference of rows behind {before.place}", round(before.late, 4), APART),
        ),
        excluded=(
            Excluded("D03", f"difference of rows behind {before.place}", round(before.late, 3), 0),
        ),
        prescriptions=(
            Prescription("scale", f"make what is added before {layer.place} smaller", layer.place),
        ),
    )


def _collapse(record: Record, graph: LossGraph, layers: dict[int, _Layer]) -> Iterator[Finding]:
    """The output, where it told rows apart once and the loss is content that it does not."""
    last = next(iter(chain(graph)[-1:]), None)
    layer = None if last is None else layers.get(last.layer.node.index)
    left = fallen(record)
    if last is None or layer is None or left is None or last.layer.outputs < OUTPUTS:
        return
    if layer.late > ALIKE or layer.early < APART or left > SATISFIED:
        return
    yield Finding(
        text=f"{layer.place} puts out nearly the same for all rows: they differ by "
        f"{layer.late:.1%} of their size, at first by {layer.early:.0%}, and the loss has fallen "
        f"to {left:.2g} of what it was: equal answers satisfy it",
        line=graph.root.line or graph.backward,
        place=layer.place,
        severity="fault",
        confidence="strong",
        evidence=(
            Evidence("difference of rows in the end", round(layer.late, 4), ALIKE),
            Evidence("difference of rows at first", round(layer.early, 4), APART),
            Evidence("loss that is left", float(f"{left:.3g}"), SATISFIED),
        ),
        excluded=(Excluded("D03", "difference of rows at first", round(layer.early, 3), 0),),
        prescriptions=(Prescription("loss", "add a term that keeps different rows apart", "loss"),),
    )
