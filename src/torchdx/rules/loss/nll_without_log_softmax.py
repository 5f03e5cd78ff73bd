"""nll-without-log-softmax (L05): `nll_loss` is given scores or probabilities, not their logarithms.

## What is seen
`nll_loss` is fed by a layer or by a softmax, and the exponentials of its input do not sum to one
over the classes: they are no log-probabilities.
## Why the net does not learn
`nll_loss` only picks minus the value at the label. For raw scores it falls without bound while all
scores may grow; for probabilities it lies in [-1, 0], and rows that are wrong get hardly any
gradient. A negative loss is the sign.
## When this is wrong
Where the normaliser is added by hand (`logsumexp(z) - z[label]`) the sum of both is right: that is
looked for and passed over, as are weighted log-probabilities (focal loss).
## What to try
`cross_entropy` on the scores, or `nll_loss(log_softmax(scores), labels)`.
## Sources
PyTorch forum 55904; `torch.nn.NLLLoss`: "the input is expected to contain log-probabilities".
"""

from collections.abc import Iterator

from torchdx.graph.model import LossGraph, Node
from torchdx.record.model import Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule
from torchdx.rules.loss.scores import NORMALISED, from_layer


@rule("L05", "nll-without-log-softmax")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the first loss graph in which it stands."""
    for graph in record.graphs.values():
        for head in graph.heads:
            given = graph.source(graph.input(head, 0))
            if not head.op.startswith("NllLoss") or given is None:
                continue
            off = float(head.saved.get("self_logsumexp", 0.0))
            kind = _kind(graph, given)
            if kind and off > NORMALISED and len(graph.consumers(given)) == 1:
                yield _finding(graph, head, given, kind, off)
                return


def _kind(graph: LossGraph, given: Node) -> str:
    """What is given, where it can be nothing but a mistake; an empty string otherwise."""
    if given.op in {"Softmax", "Sigmoid"}:
        return "probabilities"
    return "raw scores" if from_layer(graph, given) is not None else ""


def _finding(graph: LossGraph, head: Node, given: Node, kind: str, off: float) -> Finding:
    wanted = "nll_loss takes log-probabilities"
    if kind == "probabilities":
        text = f"{wanted}, but is given the probabilities of a {given.op.lower()}: the loss is "
        text += "minus their mean at the labels, between -1 and 0"
        line, to = given.line, "take log_softmax in place of softmax before nll_loss"
    else:
        classes = int(head.saved.get("classes", 0))
        text = f"{wanted}, but is given the raw scores of {classes} classes: the loss falls below "
        text += "any bound without the classes being told apart"
        line, to = head.line, "use cross_entropy, or log_softmax before nll_loss"
    return Finding(
        text=text,
        line=line or head.line or graph.backward,
        place="loss",
        evidence=(
            Evidence("operation that feeds nll_loss", given.op, "LogSoftmax"),
            Evidence("largest |log of the sum of exponentials| of a row", round(off, 3), 0.0),
        ),
        prescriptions=(Prescription("cross_entropy", to),),
    )
