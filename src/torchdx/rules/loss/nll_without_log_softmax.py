"""nll-without-log-softmax (L05): a loss that takes log-probabilities is given something else.

## What is seen
`nll_loss` is fed by a layer or by a softmax, and the exponentials of its input do not sum to one
over the classes: they are no log-probabilities. Or the first argument of `kl_div`, which takes
log-probabilities too, comes straight from a softmax, a sigmoid or a layer.
## Why the net does not learn
`nll_loss` only picks minus the value at the label. For raw scores it falls without bound while all
scores may grow; for probabilities it lies in [-1, 0], and rows that are wrong get hardly any
gradient. A negative loss is the sign. `kl_div` multiplies its first argument by the target as it
is: for probabilities that is an inner product, greatest where the student puts everything on the
teacher's first class; for scores it has no bound. A divergence is never negative: this one is.
## When this is wrong
Where the normaliser is added by hand (`logsumexp(z) - z[label]`) the sum of both is right: that is
looked for and passed over, as are weighted log-probabilities (focal loss). With `log_target=True`
the second argument of `kl_div` holds logarithms as well: only the first is looked at.
## What to try
`cross_entropy` on the scores, or `nll_loss(log_softmax(scores), labels)`; for `kl_div` likewise
`kl_div(log_softmax(scores), target)`.
## Sources
PyTorch forum 55904; `torch.nn.NLLLoss`: "the input is expected to contain log-probabilities";
`torch.nn.KLDivLoss`: "expects the argument input in the log-space".
"""

from collections.abc import Iterator

from torchdx.graph.model import LossGraph, Node
from torchdx.record.model import Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule
from torchdx.rules.loss.once import Once, once
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
                yield _finding(graph, head, given, kind, once(record, given))
                return
        finding = _divergence(graph)
        if finding is not None:
            yield finding
            return


def _divergence(graph: LossGraph) -> Finding | None:
    """What is to be said of a `kl_div` in a graph."""
    for node in graph.nodes:
        if node.op == "Sub" and node.via == "kl_div":
            given = graph.source(_student(graph, node))
            kind = _kind(graph, given) if given is not None else ""
            if given is not None and kind and len(graph.consumers(given)) == 1:
                return _of_divergence(graph, node, given, kind)
    return None


def _student(graph: LossGraph, difference: Node) -> Node | None:
    """The first argument: torch computes `t log t - t input`, or `exp(t) (t - input)`."""
    taken = graph.input(difference, 1)
    if taken is not None and taken.op == "Mul" and taken.via == "kl_div":
        return graph.input(taken, 1)
    return taken


def _of_divergence(graph: LossGraph, node: Node, given: Node, kind: str) -> Finding:
    made = f"the {kind} of a {given.op.lower()}" if kind == "probabilities" else kind
    return Finding(
        text=f"kl_div takes log-probabilities as its first argument, but is given {made}: what it "
        "computes is no divergence, and falls below 0",
        line=(given.line if kind == "probabilities" else node.line) or graph.backward,
        place="loss",
        evidence=(Evidence("operation that feeds kl_div", given.op, "LogSoftmax"),),
        prescriptions=(
            Prescription("log_softmax", "give kl_div the log_softmax of the scores instead"),
        ),
    )


def _kind(graph: LossGraph, given: Node) -> str:
    """What is given, where it can be nothing but a mistake; an empty string otherwise."""
    if given.op in {"Softmax", "Sigmoid"}:
        return "probabilities"
    return "raw scores" if from_layer(graph, given) is not None else ""


def _finding(graph: LossGraph, head: Node, given: Node, kind: str, seen: Once) -> Finding:
    off = float(head.saved.get("self_logsumexp", 0.0))
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
        prescriptions=(Prescription("cross_entropy", to, once=seen),),
    )
