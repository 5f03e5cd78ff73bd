"""softmax-over-one-unit (L07): the softmax of a single score is always 1.

## What is seen
A softmax or log-softmax over a dimension of size 1 (not the rows) goes straight into the loss.
## Why the net does not learn
The softmax of one number is 1 and its logarithm 0, whatever the number: the prediction is a
constant and its gradient exactly zero.
## When this is wrong
Never where it goes into the loss. Attention over a single position, or a mixture of one expert, is
multiplied with something and passed over.
## What to try
For two classes from one unit: `binary_cross_entropy_with_logits`, or a sigmoid. Or two units.
## Sources
Stack Overflow 31880720, 34311586, 33969059, 42800203, 59129802.
"""

from collections.abc import Iterator

from torchdx.graph.model import HEADS, TRANSPARENT, LossGraph, Node
from torchdx.record.model import Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule
from torchdx.rules.loss.once import Once, once
from torchdx.rules.loss.scores import axis

_BETWEEN = TRANSPARENT | {"Log", "Clamp"}


@rule("L07", "softmax-over-one-unit", silences="L01 L02 L20 A14 O02 D06 A13 A08")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the first loss graph in which it stands."""
    for graph in record.graphs.values():
        for node in graph.below(graph.root):
            if _single(node) and any(_is_loss(graph, u) for u in graph.consumers(node, _BETWEEN)):
                yield _finding(graph, node, once(record, node))
                return


def _single(node: Node) -> bool:
    shape = node.shape or ()
    softmax = node.op in {"Softmax", "LogSoftmax"}
    return softmax and len(shape) > 1 and axis(node) > 0 and shape[axis(node)] == 1


def _is_loss(graph: LossGraph, user: Node) -> bool:
    """Whether a node holds predictions against targets: a loss, or a difference to data."""
    if user.op in {"Sub", "Rsub"}:
        return len(graph.inputs(user)) == 1
    return user.op in HEADS or user.op == "LogSoftmax"


def _finding(graph: LossGraph, node: Node, seen: Once) -> Finding:
    constant = "1" if node.op == "Softmax" else "0"
    text = "use a sigmoid, or two units and cross_entropy"
    return Finding(
        text=f"{'softmax' if node.op == 'Softmax' else 'log_softmax'} runs over a single unit: it "
        f"answers {constant} for every row, and no gradient passes it",
        line=node.line or graph.backward,
        place="loss",
        evidence=(Evidence("units over which it sums to one", 1, "2 or more"),),
        prescriptions=(Prescription("sigmoid", text, once=seen),),
    )
