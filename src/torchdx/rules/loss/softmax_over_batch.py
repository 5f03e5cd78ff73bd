"""softmax-over-batch (L06): the softmax of the model's answers sums to one over the rows.

## What is seen
A softmax or log-softmax over dimension 0, of what a layer makes of each row, goes straight into a
loss that takes the rows one by one (cross-entropy, `nll_loss`, `binary_cross_entropy`, `mse_loss`).
## Why the net does not learn
Each class's probabilities are shared out among the rows of the batch instead of each row's among
the classes. What the net says of a row depends on the rows that happen to stand beside it, and the
loss asks rows with one label to compete.
## When this is wrong
Contrastive losses normalise similarities over both dimensions on purpose; these are products of two
sets of features, not the output of a layer, and are passed over. So are attention and pooling over
the instances of a bag, where a product follows.
## What to try
`dim=-1` (or `dim=1`): the dimension of the classes. For cross-entropy, no softmax at all.
## Sources
Stack Overflow 49036993; PyTorch forum 77250; `torch.nn.functional.softmax` chooses dimension 0 by
itself for one and three dimensions when none is named.
"""

from collections.abc import Iterator
from typing import NamedTuple

from torchdx.graph.model import LossGraph, Node
from torchdx.record.model import Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule
from torchdx.rules.loss.scores import IN_PLACE, axis, from_layer

_ROWWISE = frozenset(["NllLoss", "BinaryCrossEntropy", "MseLoss"])
_BETWEEN = IN_PLACE | {"Log", "Clamp", "View", "ReshapeAlias", "UnsafeView"}


class _Found(NamedTuple):
    graph: LossGraph
    softmax: Node
    user: Node


@rule("L06", "softmax-over-batch", silences="L01 L02 A08")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the first loss graph in which it stands."""
    for graph in record.graphs.values():
        for node in graph.below(graph.root):
            if not _over_rows(node) or from_layer(graph, graph.input(node, 0)) is None:
                continue
            user = next((u for u in graph.consumers(node, _BETWEEN) if _takes_rows(u, node)), None)
            if user is not None:
                yield _finding(_Found(graph, node, user))
                return


def _over_rows(node: Node) -> bool:
    """Whether a node is a softmax over the first of several dimensions."""
    shape = node.shape or ()
    return (
        node.op in {"Softmax", "LogSoftmax"}
        and len(shape) > 1
        and axis(node) == 0
        and shape[0] > 1
        and shape[-1] > 1
    )


def _takes_rows(user: Node, softmax: Node) -> bool:
    """Whether `user` takes the rows of the softmax one by one, its classes being kept last."""
    shape = softmax.shape or ()
    if user.op == "LogSoftmax":
        return user.shape == shape and axis(user) != 0
    if user.op not in _ROWWISE:
        return False
    given = user.saved.get("self_shape") or [0]
    return len(given) > 1 and given[-1] == shape[-1]


def _finding(found: _Found) -> Finding:
    rows, *_, classes = found.softmax.shape or (0, 0)
    name = "softmax" if found.softmax.op == "Softmax" else "log_softmax"
    return Finding(
        text=f"{name} runs over the {rows} rows of the batch (dim=0), not over the {classes} "
        "classes of each row: what the net says of a row depends on the others",
        line=found.softmax.line or found.user.line or found.graph.backward,
        place="loss",
        evidence=(
            Evidence("dimension over which it sums to one", 0, len(found.softmax.shape or ()) - 1),
            Evidence("shape of its result", str(tuple(found.softmax.shape or ()))),
        ),
        prescriptions=(Prescription("softmax_dim", f"give {name} dim=-1, the classes", to="-1"),),
    )
