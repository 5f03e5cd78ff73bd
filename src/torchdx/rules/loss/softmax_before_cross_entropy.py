"""softmax-before-cross-entropy (L01): the loss takes the softmax of what is a softmax already.

## What is seen
The log-softmax of a cross-entropy in the loss graph, with labels or with soft targets, is fed by a
softmax over the same classes, with nothing but changes of layout or precision between them. A
sigmoid there counts too: it bounds the scores just so.
## Why the net does not learn
Probabilities lie in [0, 1], so that their second softmax can give no class more than
e / (e + C - 1): the loss has a floor of log(1 + (C - 1) / e), 1.46 for 10 classes, and gradients
are small from the first step.
## When this is wrong
Never as a fact. Bounded scores on purpose (a temperature, a margin) multiply between the two and
are passed over, as are mixtures of softmaxes.
## What to try
Give the loss the scores: take the softmax out of the model, and use it for predictions only.
## Sources
Stack Overflow 50032197; PyTorch forum 76679; `torch.nn.CrossEntropyLoss`: "the input is expected
to contain the unnormalized logits"; the floor follows from the softmax of a one-hot vector.
"""

import math
from collections.abc import Iterator

from torchdx.record.model import Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule
from torchdx.rules.loss.scores import CrossEntropy, cross_entropies, picks_labels, same_axis


@rule("L01", "softmax-before-cross-entropy", silences="A08")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the first loss graph in which it stands."""
    for found in cross_entropies(record):
        if found.classes > 1 and _squeezed(found):
            yield _finding(found)
            return


def _squeezed(found: CrossEntropy) -> bool:
    if found.inner.op == "Softmax":
        return same_axis(found.inner, found.outer)
    return found.inner.op == "Sigmoid" and picks_labels(found.graph, found.outer)


def _finding(found: CrossEntropy) -> Finding:
    floor = math.log(1 + (found.classes - 1) / math.e)
    first = found.inner.op.lower()
    if first == "softmax":
        text = f"softmax is applied twice to the {found.classes} scores: by the model, and by the "
        text += "cross-entropy"
    else:
        text = f"the {found.classes} scores go through a sigmoid and then through the softmax of "
        text += "the cross-entropy"
    return Finding(
        text=f"{text}; the loss cannot fall below {floor:.2f}",
        line=found.inner.line or found.outer.line or found.graph.backward,
        place="loss",
        evidence=(
            Evidence("operation that feeds the log-softmax of the loss", found.inner.op, "logits"),
            Evidence("lowest loss that can be reached", round(floor, 3), 0.0),
        ),
        prescriptions=(
            Prescription("undo_softmax", f"give the loss the scores before the {first}"),
        ),
    )
