"""softmax-before-cross-entropy (L01): the loss takes the softmax of what is a softmax already.

## What is seen
The cross-entropy of the loss graph (a `LogSoftmax` that leads to the loss) is fed by a `Softmax`
with nothing but changes of layout or precision between them.
## Why the net does not learn
Probabilities lie in [0, 1], so that their second softmax can give no class more than
e / (e + C - 1): the loss has a floor of log(1 + (C - 1) / e), 1.46 for 10 classes, and gradients
are small from the first step.
## When this is wrong
Never as a fact. Bounded scores on purpose (a temperature, a margin) multiply between the two and
are passed over.
## What to try
Give the loss the logits: take the softmax out of the model, and use it for predictions only.
## Sources
Stack Overflow 50032197; `torch.nn.CrossEntropyLoss`: "the input is expected to contain the
unnormalized logits"; the floor follows from softmax of a one-hot vector.
"""

import math
from collections.abc import Iterator

from torchdx.record.model import Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule


@rule("L01", "softmax-before-cross-entropy")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the first loss graph in which it stands."""
    for graph in record.graphs.values():
        for head in graph.heads:
            outer = graph.source(next(iter(graph.inputs(head)), None))
            if not head.op.startswith("NllLoss") or outer is None or outer.op != "LogSoftmax":
                continue
            inner = graph.source(next(iter(graph.inputs(outer)), None))
            if inner is None or inner.op != "Softmax":
                continue
            classes = int(head.saved.get("classes", 0))
            floor = math.log(1 + (classes - 1) / math.e)
            yield Finding(
                text=f"softmax is applied twice to the {classes} scores: by the model, and by the "
                f"cross-entropy; the loss cannot fall below {floor:.2f}",
                line=inner.line or outer.line,
                place="loss",
                evidence=(
                    Evidence("operation that feeds the log-softmax of the loss", "Softmax", "logits"),
                    Evidence("lowest loss that can be reached", round(floor, 3), 0.0),
                ),
                prescriptions=(
                    Prescription("undo_softmax", "give the loss the scores before the softmax"),
                ),
            )
            return
