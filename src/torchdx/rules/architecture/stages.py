"""Layers with weights in the order of a loss graph: what each feeds, and through what."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from torchdx.graph.model import LEAF, TRANSPARENT, Line, LossGraph, Node
from torchdx.record.model import Record
from torchdx.rules.architecture.layers import LINEAR, Linear, is_dropout, linear
from torchdx.rules.series import early

# Operations that bring values back to a size of their own, whatever came in.
NORMS = frozenset(
    "NativeBatchNorm CudnnBatchNorm NativeLayerNorm NativeGroupNorm FusedRmsNorm Rsqrt Std Var "
    "VarMean StdMean LinalgVectorNorm Norm".split()
)
SATURATING = frozenset("Sigmoid Tanh Hardsigmoid".split())
# Layers behind these need a gain of the root of 2, for half of what comes in is gone (He et al.
# 2015, section 2.2).
HALVING = frozenset("Relu Gelu Silu Hardswish".split())
POOLS = frozenset("MaxPool2DWithIndices MaxPool3DWithIndices AdaptiveMaxPool2D".split())
_SUMS = frozenset({"Add", "Cat"})


@dataclass(frozen=True)
class Stage:
    """One layer with weights within a chain.

    through   operations between it and the layers that it feeds
    feeds     the nodes of these layers; empty for one that goes straight into the loss
    joined    whether something else that was learnt is added to its result on the way: a skip
              connection, or another branch
    """

    layer: Linear
    through: frozenset[str]
    feeds: tuple[int, ...]
    joined: bool

    @property
    def place(self) -> str:
        """The module whose signals are this layer's."""
        return self.layer.layer

    @property
    def fan_in(self) -> int:
        """Inputs of one unit."""
        return self.layer.inputs * math.prod(self.layer.kernel)

    @property
    def fan_out(self) -> int:
        """Units that one input goes into."""
        return self.layer.outputs * math.prod(self.layer.kernel)

    def gain(self, record: Record) -> float | None:
        """The root mean square of its first weights times the root of the inputs of a unit."""
        root = weight_rms(record, self.layer.weight)
        return None if root is None else root * math.sqrt(self.fan_in)

    def begun(self, record: Record, signal: str) -> float | None:
        """A signal of its module in the first steps."""
        return early(record.series(signal, self.place))

    def line(self, record: Record) -> Line | None:
        """Where it was made, or else called."""
        return record.made(self.place) or self.layer.node.line


def main_graph(record: Record) -> LossGraph | None:
    """The loss graph that was seen most often, of those that can be seen whole."""
    whole = [graph for graph in record.graphs.values() if not graph.opaque]
    return max(whole, key=lambda g: (record.graph_counts.get(g.key, 0), -g.key), default=None)


def weight_rms(record: Record, weight: str) -> float | None:
    """The root mean square of a parameter when it was first measured."""
    norms = record.series("weight.norm", weight)
    shapes = (m.parameters[weight] for m in record.models if weight in m.parameters)
    count = math.prod(next(shapes, ()))
    return norms[0][1] / math.sqrt(count) if norms and count > 1 else None


def stages(graph: LossGraph) -> dict[int, Stage]:
    """All layers with weights of a graph, by their nodes."""
    layers = {n.index: found for n in graph.nodes if (found := linear(graph, n)) is not None}
    return {index: _stage(graph, layers, layers[index]) for index in layers}


def _stage(graph: LossGraph, layers: dict[int, Linear], layer: Linear) -> Stage:
    through: set[str] = set()
    feeds: list[int] = []
    joined = False
    seen = {layer.node.index}
    waiting = [(layer.node, user) for user in graph.users(layer.node)]
    while waiting:
        came, node = waiting.pop()
        joined = joined or _joins(graph, came, node)
        if node.index in seen:
            continue
        seen.add(node.index)
        if node.index in layers:
            feeds.append(node.index)
            continue
        through.add(node.op)
        waiting.extend((node, user) for user in graph.users(node))
    return Stage(layer, frozenset(through - TRANSPARENT), tuple(sorted(feeds)), joined)


def _joins(graph: LossGraph, came: Node, node: Node) -> bool:
    """Whether a node adds to what comes from below something else than a parameter."""
    if node.op not in _SUMS:
        return False
    others = [graph.source(n) for n in graph.inputs(node) if n.index != came.index]
    return any(other is not None and other.op != LEAF for other in others)


def chain(graph: LossGraph) -> list[Stage]:
    """The longest way through layers with weights, from the inputs to the loss.

    Empty where it comes to a weight twice: a recurrent net, or gradients of gradients.
    """
    found = stages(graph)
    length, after = _lengths(found)
    at = max(length, key=lambda i: (length[i], -i), default=-1)
    way = []
    while at != -1:
        way.append(found[at])
        at = after[at]
    return way if len({stage.layer.weight for stage in way}) == len(way) else []


def _lengths(found: dict[int, Stage]) -> tuple[dict[int, int], dict[int, int]]:
    """How many layers there are from each to the loss, and which comes next on the longest way."""
    length: dict[int, int] = {}
    after: dict[int, int] = {}
    waiting = list(found)
    while waiting:  # each layer once all that it feeds are known; the graph has no cycles
        ready = [i for i in waiting if all(up in length for up in found[i].feeds)]
        for index in ready:
            ways = [(length[up] + 1, up) for up in found[index].feeds]
            length[index], after[index] = max(ways, default=(1, -1))
        waiting = [i for i in waiting if i not in length] if ready else []
    return length, after


@dataclass(frozen=True)
class Rectified:
    """A layer, or the norm behind it, whose values all go into one ReLU.

    weight   the parameter that it holds; `place`: its module; `node` what it does
    """

    node: Node
    weight: str

    @property
    def place(self) -> str:
        """The module whose signals are what the ReLU is given."""
        return self.weight.rpartition(".")[0]


def rectified(graph: LossGraph) -> Iterator[Rectified]:
    """The layers in front of ReLUs, from the inputs to the loss."""
    for relu in reversed([node for node in graph.nodes if node.op == "Relu"]):
        node, alone = relu, True
        while alone and (below := next(iter(graph.inputs(node)), None)) is not None:
            alone = len(graph.users(below)) == 1
            node = below
            if not (node.op in TRANSPARENT | POOLS or is_dropout(node)):
                break
        weight = weight_of(graph, node)
        if alone and weight is not None:
            yield Rectified(node, weight)


def weight_of(graph: LossGraph, node: Node) -> str | None:
    """The weight of a layer, of a layer with its bias added, or of a norm."""
    if node.op in NORMS:
        leaves = [graph.source(below) for below in graph.inputs(node)[1:]]
        return next((leaf.leaf for leaf in leaves if leaf is not None and leaf.leaf), None)
    if node.op == "Add":
        parts = [graph.source(below) for below in graph.inputs(node)]
        made = [part for part in parts if part is not None and part.op != LEAF]
        node = made[0] if len(made) == 1 and len(parts) > 1 else node
    if node.op not in LINEAR:
        return None
    leaf = graph.source(graph.input(node, LINEAR[node.op][1]))
    return None if leaf is None else leaf.leaf
