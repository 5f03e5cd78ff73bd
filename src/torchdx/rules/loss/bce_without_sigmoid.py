"""bce-without-sigmoid (L04): a loss for probabilities is given the scores of a layer.

## What is seen
`binary_cross_entropy` is fed by an affine layer, bare, clamped to [0, 1], or behind a ReLU, tanh or
the like; there is no sigmoid between the last layer and the loss.
## Why the net does not learn
Scores are not probabilities. Outside [0, 1] the loss is an error, or, where they are clamped, a
constant: such rows have no gradient, and those that are wrong there (at a loss of up to 100) stay
so. Training jumps and stalls.
## When this is wrong
Where a layer answers probabilities by construction, its weights being kept convex; then the weights
are computed, not parameters, and a layer without bias is passed over.
## What to try
`binary_cross_entropy_with_logits` on the scores as they are, without clamp.
## Sources
`torch.nn.BCELoss`: it clamps its logarithms at -100; pattern 10 of PySIAssist (SANER 2024).
"""

from collections.abc import Iterator

from torchdx.graph.model import TRANSPARENT, LossGraph, Node
from torchdx.record.model import Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule
from torchdx.rules.loss.scores import from_layer

_CLAMPS = frozenset(["Clamp", "ClampMin", "ClampMax", "Hardtanh"])


@rule("L04", "bce-without-sigmoid")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the first loss graph in which it stands."""
    for graph in record.graphs.values():
        for head in graph.heads:
            layer = from_layer(graph, _unclamped(graph, head))
            if head.op == "BinaryCrossEntropy" and layer is not None:
                yield _finding(graph, head, layer)
                return


def _unclamped(graph: LossGraph, head: Node) -> Node | None:
    return graph.source(graph.input(head, 0), TRANSPARENT | _CLAMPS)


def _finding(graph: LossGraph, head: Node, layer: Node) -> Finding:
    given = graph.source(graph.input(head, 0))
    clamped = given is not None and given.op in _CLAMPS
    how = "clamped scores" if clamped else "the scores"
    seen = f"{head.saved.get('self_min', 0.0):.3g} to {head.saved.get('self_max', 0.0):.3g}"
    return Finding(
        text=f"binary_cross_entropy takes probabilities, but is given {how} of a layer "
        f"({seen} in the first batch), without a sigmoid"
        + ("; rows at the clamp have no gradient" if clamped else ""),
        line=(given.line if clamped and given is not None else None) or head.line or graph.backward,
        place="loss",
        evidence=(
            Evidence("operation that makes the input of the loss", layer.op, "Sigmoid"),
            Evidence("range of the input in the first batch", seen, "0 to 1 by construction"),
        ),
        prescriptions=(
            Prescription(
                "bce_with_logits", "use binary_cross_entropy_with_logits on the unclamped scores"
            ),
        ),
    )
