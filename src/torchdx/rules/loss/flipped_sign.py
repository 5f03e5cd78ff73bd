"""flipped-sign (L12): what should fall is made to rise.

## What is seen
A cross-entropy, a binary one or a squared error reaches `backward` with a negative factor, or the
log-probabilities of the labels do without one; every parameter behind it is stepped by one
optimizer; and the loss itself, measured at its head, rises while what is minimised falls.
## Why the net does not learn
Gradient descent goes down what it is given: here, away from the labels, without end.
## When this is wrong
A generator that maximises its discriminator's loss does so on purpose: only its own half of the
parameters is stepped, and this rule is silent. Gradient reversal likewise changes the sign inside.
## What to try
Change the sign.
## Sources
TheDeepChecker (Ben Braiek & Khomh 2023), `flipped_sign`; Goodfellow et al. 2014 for the game in
which it is right.
"""

from collections.abc import Iterator

from torchdx.graph.model import LossGraph, Node
from torchdx.record.model import Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule
from torchdx.rules.series import early, late

_PICKS = frozenset("Gather Index Take TakeAlongDim Select IndexSelect".split())
_MEANS = frozenset("Mean Sum".split())
RISEN = 1.0  # a head that is above where it began has not been minimised


@rule("L12", "flipped-sign", silences="O01 A07 L19 L20 M01")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the first loss of this kind."""
    for graph in record.graphs.values():
        if not _stepped_as_one(record, graph):
            continue
        for head in graph.heads:
            risen = _risen(record, graph)
            if _sign(graph, head) < 0 and risen is not None and risen > RISEN:
                measured = f"the loss itself is {risen:.3g} times what it was at first"
                term = any(above.op in {"Add", "Sub"} for above in graph.path_to_root(head))
                what = f"the {head.op} has a negative factor"
                yield _finding(graph, head, what, measured, "term" if term else "loss")
                return
        picked = next(_picked(graph), None)
        if picked is not None and _below_zero(record):
            fell = f"what is minimised went from {record.losses[0][1]:.3g} to {_last(record):.3g}"
            yield _finding(graph, picked, "log-probabilities of labels have no minus sign", fell)
            return


def _stepped_as_one(record: Record, graph: LossGraph) -> bool:
    """Whether one optimizer holds all that is behind a loss."""
    leaves = set(graph.leaves)
    return any(leaves <= set(optimizer.parameters) for optimizer in record.optimizers.values())


def _sign(graph: LossGraph, node: Node) -> int:
    sign = 1
    for above in graph.path_to_root(node):
        by = above.saved.get("other")
        negative = above.op in {"Neg", "Rsub"} or (
            above.op in {"Mul", "Div"} and isinstance(by, int | float) and by < 0
        )
        sign = -sign if negative else sign
        if above.op == "Sub" and _is_second(graph, above, node):
            sign = -sign
        node = above
    return sign


def _is_second(graph: LossGraph, difference: Node, node: Node) -> bool:
    return graph.input(difference, 0) is not node and graph.input(difference, 1) is node


def _picked(graph: LossGraph) -> Iterator[Node]:
    """Means of log-probabilities picked by label, which no minus sign and no weight follows."""
    for node in graph.below(graph.root):
        if not _log_probabilities(graph, node):
            continue
        way = list(graph.path_to_root(node))
        plain = [n for n in way if n.op not in _PICKS | _MEANS]
        if any(n.op in _PICKS for n in way) and not any(_changes(n) for n in plain):
            yield next(n for n in way if n.op in _PICKS)


def _log_probabilities(graph: LossGraph, node: Node) -> bool:
    """A log-softmax, or scores less their logarithm of summed exponentials."""
    by_hand = node.op == "Sub" and any(n.op == "Logsumexp" for n in graph.inputs(node))
    return node.op == "LogSoftmax" or by_hand


def _changes(node: Node) -> bool:
    """Whether an operation may turn a sign, or weight what was picked."""
    return node.op not in {"Squeeze", "View", "Unsqueeze", "ToCopy", "Clone"}


def _risen(record: Record, graph: LossGraph) -> float | None:
    series = record.series("loss.head", str(graph.key))
    first, last = early(series), late(series)
    return last / first if first and last is not None else None


def _last(record: Record) -> float:
    return record.losses[-1][1]


def _below_zero(record: Record) -> bool:
    """Whether the loss fell below zero further and further."""
    values = [loss for _, loss in record.losses]
    return len(values) > 1 and values[-1] < values[0] < 0


def _finding(
    graph: LossGraph, node: Node, what: str, measured: str, where: str = "loss"
) -> Finding:
    return Finding(
        text=f"the loss is maximised: {what}, and {measured}",
        line=graph.root.line or node.line or graph.backward,
        place="loss",
        evidence=(Evidence("factor between loss and backward", "negative", "positive"),),
        prescriptions=(Prescription("sign", "change the sign of the loss", where=where),),
    )
