"""sigmoid-before-bce-with-logits (L03): the loss takes the sigmoid of a probability.

## What is seen
`binary_cross_entropy_with_logits` is fed by a sigmoid, or by a softmax, with nothing but changes
of layout or precision between them.
## Why the net does not learn
Probabilities lie in [0, 1], and the sigmoid of these in [0.5, 0.731]: the loss holds every row for
positive. It cannot fall below log 2 = 0.693 where the target is 0, nor below 0.313 where it is 1.
## When this is wrong
Never as a fact: scaled or shifted probabilities have an operation between and are passed over.
## What to try
Give the loss the scores: take the sigmoid out of the model, and use it for predictions only.
## Sources
PyTorch forum 27298; `torch.nn.BCEWithLogitsLoss`: "this loss combines a Sigmoid layer and the
BCELoss in one single class"; the floors are -log(sigmoid(1)) and -log(1 - sigmoid(0)).
"""

import math
from collections.abc import Iterator

from torchdx.record.model import Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule

_BEST_FOR_ONE = math.log(1 + math.exp(-1.0))
_BEST_FOR_ZERO = math.log(2.0)


@rule("L03", "sigmoid-before-bce-with-logits", silences="A08")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the first loss graph in which it stands."""
    for graph in record.graphs.values():
        for head in graph.heads:
            inner = graph.source(graph.input(head, 0))
            if head.op != "BinaryCrossEntropyWithLogits" or inner is None:
                continue
            if inner.op not in {"Sigmoid", "Softmax"}:
                continue
            positive = min(1.0, max(0.0, float(head.saved.get("target_mean", 0.5))))
            floor = positive * _BEST_FOR_ONE + (1 - positive) * _BEST_FOR_ZERO
            first = inner.op.lower()
            yield Finding(
                text=f"the scores go through a {first} in the model and through the sigmoid of the "
                f"loss: no row can get less than 0.5 or more than 0.73, and with {positive:.0%} of "
                f"the targets at 1, as in the first batch, the loss cannot fall below {floor:.2f}",
                line=inner.line or head.line or graph.backward,
                place="loss",
                evidence=(
                    Evidence("operation that feeds the loss", inner.op, "logits"),
                    Evidence("lowest mean loss that can be reached", round(floor, 3), 0.0),
                ),
                prescriptions=(
                    Prescription("undo_sigmoid", f"give the loss the scores before the {first}"),
                ),
            )
            return
