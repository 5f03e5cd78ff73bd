"""double-log-softmax (L02): the loss takes the log-softmax of log-probabilities. Harmless.

## What is seen
The log-softmax of a cross-entropy is fed by another log-softmax over the same classes.
## Why the net does not learn
It does: log-probabilities are unchanged by a second log-softmax, because the exponentials already
sum to one. Loss and gradients are the same; only time is spent twice.
## When this is wrong
Never as a fact. It is told because it may point to a mix-up: the model's answers are
log-probabilities, which matters to whoever reads them as scores.
## What to try
Keep the model's log-softmax and use `nll_loss`, or drop it and keep the cross-entropy.
## Sources
log softmax(log softmax(z)) = log softmax(z); pattern 10 of PySIAssist (SANER 2024).
"""

from collections.abc import Iterator

from torchdx.record.model import Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule
from torchdx.rules.loss.scores import cross_entropies, same_axis


@rule("L02", "double-log-softmax")
def check(record: Record) -> Iterator[Answer]:
    """One note for the first loss graph in which it stands."""
    for graph, outer, inner, classes in cross_entropies(record):
        if inner.op != "LogSoftmax" or not same_axis(inner, outer):
            continue
        yield Finding(
            text=f"log-softmax is applied twice to the {classes} scores, by the model and by the "
            "cross-entropy; that changes nothing, the second has no effect",
            line=inner.line or outer.line or graph.backward,
            place="loss",
            severity="note",
            evidence=(
                Evidence("operation that feeds the log-softmax of the loss", inner.op, "logits"),
            ),
            prescriptions=(
                Prescription("nll_loss", "use nll_loss on the model's log-probabilities"),
            ),
        )
        return
