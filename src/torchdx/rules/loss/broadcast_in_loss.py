"""broadcast-in-loss (L08): every prediction is held against every target.

## What is seen
N predictions and N targets meet in shapes that do not match, (N, 1) and (N,), and are spread to
N x N by broadcasting: in `mse_loss`, `smooth_l1_loss`, `huber_loss` or `l1_loss` on both sides, or
in a difference written by hand that is squared (or its absolute value taken) and averaged.
## Why the net does not learn
Averaged over all N x N pairs, the best that a net can answer is one and the same number for every
row: the mean of the batch's targets. The loss settles at their variance.
## When this is wrong
Losses over all pairs on purpose: they say so with `unsqueeze` or `[:, None]`, and are passed over,
as is a target spread on purpose along one dimension (`expand_as`).
## What to try
Make the shapes equal before the loss: `pred.squeeze(1)` or `target.unsqueeze(1)`.
## Sources
Stack Overflow 38447935; torch's own warning "Using a target size that is different to the input
size"; for squares, the mean over targets minimises the sum over all pairs.
"""

from collections.abc import Iterator
from math import prod

from torchdx.graph.model import LossGraph, Node
from torchdx.record.model import Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule

_PAIRED = frozenset(["MseLoss", "SmoothL1Loss", "HuberLoss"])
_DISTANCES = frozenset(["Pow", "Abs", "Mul", "Square"])


@rule("L08", "broadcast-in-loss", silences="A08")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the first loss graph in which it stands."""
    for graph in record.graphs.values():
        for node in graph.below(graph.root):
            before = _in_torch(graph, node) if node.op in _PAIRED else _by_hand(graph, node)
            if before is not None:
                yield _finding(graph, node, before)
                return


def _in_torch(graph: LossGraph, head: Node) -> tuple[int, ...] | None:
    """The predictions' shape, where both they and the targets were spread inside the loss."""
    spread = graph.input(head, 0)
    after = tuple(head.saved.get("self_shape", ()))
    if spread is None or spread.op != "Expand" or not head.saved.get("target_repeats"):
        return None
    if head.saved.get("reduction") == 0:  # the program goes on with all pairs
        return None
    before = tuple(spread.saved.get("self_sym_sizes", ()))
    return before if _all_pairs(before, after) else None


def _by_hand(graph: LossGraph, node: Node) -> tuple[int, ...] | None:
    """The same for `((pred - target) ** 2).mean()`, and for `l1_loss`, which torch writes so."""
    if node.op not in {"Sub", "Rsub"} or not _averaged(graph, node):
        return None
    sides = graph.inputs(node)
    if len(sides) != 1:
        return None
    side, before = sides[0], sides[0].shape
    if side.op == "Expand":
        if not side.via:  # the program's own expand
            return None
        before = tuple(side.saved.get("self_sym_sizes", ()))
    elif _made_a_column(graph, side):
        return None
    return before if before and _all_pairs(before, node.shape or ()) else None


def _made_a_column(graph: LossGraph, node: Node) -> bool:
    """Whether the program itself gave predictions another dimension just before."""
    while node.op in {"View", "ReshapeAlias", "UnsafeView", "Clone", "ToCopy"}:
        (inner,) = graph.inputs(node)
        if inner.rank < node.rank:
            return True
        node = inner
    return node.op == "Unsqueeze"


def _all_pairs(before: tuple[int, ...], after: tuple[int, ...]) -> bool:
    """Whether N values were spread to N x N."""
    rows = prod(before)
    return rows > 1 and prod(after) == rows * rows and after.count(rows) == 2  # noqa: PLR2004


def _averaged(graph: LossGraph, difference: Node) -> bool:
    """Whether a difference goes through a distance into one mean or sum of all its elements."""
    users = {u.index: u for u in graph.users(difference)}
    if len(users) != 1:
        return False
    distance = next(iter(users.values()))
    ends = graph.users(distance)
    return (
        distance.op in _DISTANCES
        and len(ends) == 1
        and ends[0].op in {"Mean", "Sum"}
        and ends[0].shape == ()
    )


def _finding(graph: LossGraph, node: Node, before: tuple[int, ...]) -> Finding:
    rows = prod(before)
    after = tuple(node.saved.get("self_shape") or node.shape or ())
    targets = (rows,) if len(before) > 1 else (rows, 1)
    return Finding(
        text=f"{rows} predictions of shape {before} meet {rows} targets of shape {targets}: "
        f"broadcasting holds every prediction against every target ({rows * rows} pairs), so that "
        "the best answer is the mean of the targets",
        line=node.line or graph.backward,
        place="loss",
        evidence=(
            Evidence("differences in the loss", rows * rows, rows),
            Evidence("shape of the differences", str(after), str(before)),
        ),
        prescriptions=(
            Prescription("same_shape", "give predictions and targets one shape before the loss"),
        ),
    )
