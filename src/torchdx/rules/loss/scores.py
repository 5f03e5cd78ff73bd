"""How scores come to a loss: what the rules of this family ask of a graph.

*Scores* are what a model answers before any softmax or sigmoid.
"""

from collections.abc import Iterator
from typing import NamedTuple

from torchdx.graph.model import LEAF, TRANSPARENT, LossGraph, Node
from torchdx.record.model import Record

# Operations that keep every value where it is: the rows of what they are given remain its rows.
IN_PLACE = frozenset("ToCopy Clone Alias Contiguous".split())
# Functions of each value by itself that a last layer should not have: their usual names, and where
# no score can lie after them.
BOUNDED = {
    "Relu": ("ReLU", "below 0"),
    "Gelu": ("GELU", "below -0.17"),
    "Silu": ("SiLU", "below -0.28"),
    "Elu": ("ELU", "below -1"),
    "Softplus": ("softplus", "below 0"),
    "Tanh": ("tanh", "outside -1 to 1"),
}
# How far the exponentials of log-probabilities may be from summing to one, as a logarithm: half
# precision rounds to 0.001; softmax outputs and raw scores of two or more classes are 0.3 off or
# more.
NORMALISED = 0.01


class CrossEntropy(NamedTuple):
    """A log-softmax that leads to a loss, and the operation that made what it is given."""

    graph: LossGraph
    outer: Node
    inner: Node
    classes: int


def cross_entropies(record: Record) -> Iterator[CrossEntropy]:
    """Every log-softmax of every loss: of `cross_entropy` with labels or with soft targets."""
    for graph in record.graphs.values():
        for outer in graph.below(graph.root):
            inner = graph.source(graph.input(outer, 0))
            if outer.op == "LogSoftmax" and inner is not None and outer.shape:
                yield CrossEntropy(graph, outer, inner, outer.shape[axis(outer)])


def axis(softmax: Node) -> int:
    """The dimension over which a softmax sums to one, counted from the front."""
    return int(softmax.saved.get("dim", -1)) % max(1, softmax.rank)


def same_axis(inner: Node, outer: Node) -> bool:
    """Whether two softmaxes one after another sum over the same dimension."""
    if not inner.shape or not outer.shape:
        return False
    if inner.shape == outer.shape:
        return axis(inner) == axis(outer)
    return inner.shape[axis(inner)] == outer.shape[axis(outer)]


def picks_labels(graph: LossGraph, log_softmax: Node) -> bool:
    """Whether a log-softmax is the one inside a cross-entropy."""
    users = graph.consumers(log_softmax)
    by_label = any(user.op.startswith(("NllLoss", "CtcLoss")) for user in users)
    return by_label or log_softmax.via == "cross_entropy"


def is_layer(graph: LossGraph, node: Node | None) -> bool:
    """Whether an operation is an affine layer: its rows are rows, its columns are scores."""
    if node is None:
        return False
    if node.op == "Mm":  # of a layer without bias; between activations it is something else
        weight = graph.source(graph.input(node, 1))
        return weight is not None and weight.op == LEAF
    return node.op in {"Addmm", "Convolution"}


def from_layer(graph: LossGraph, node: Node | None) -> Node | None:
    """The affine layer that made some scores, also through one function that bounds them."""
    made_by = graph.source(node)
    if made_by is not None and made_by.op in BOUNDED:
        made_by = graph.source(graph.input(made_by, 0), TRANSPARENT)
    return made_by if is_layer(graph, made_by) else None
