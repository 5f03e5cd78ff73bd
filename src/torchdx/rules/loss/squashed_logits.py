"""squashed-logits (L14): the scores pass a ReLU or a dropout just before the loss.

## What is seen
A cross-entropy with its own softmax, or a binary one with its own sigmoid, is fed by a ReLU (or
GELU, SiLU, ELU, softplus, tanh), or by a dropout, with nothing but changes of layout or precision
between them.
## Why the net does not learn
Scores must be free to take either sign. Cut off below 0, a class that should be ruled out can only
be brought to a tie, and one whose score is 0 on every row gets no gradient any more and is never
predicted; with a sigmoid after it, no row can get less than 0.5. Dropout sets scores to 0 at
random, those of the right class too, so that the loss cannot fall to zero.
## When this is wrong
Bounded scores on purpose (capped with a tanh, margins) are multiplied by a factor and passed over;
a ReLU before a pooling, as in SqueezeNet, likewise.
## What to try
End the model with its last affine layer; put dropout before that layer.
## Sources
Stack Overflow 44450841; `torch.nn.CrossEntropyLoss`: "unnormalized logits (which do not need to be
positive or sum to 1, in general)".
"""

from collections.abc import Iterator
from typing import NamedTuple

from torchdx.graph.model import LossGraph, Node
from torchdx.record.model import Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule
from torchdx.rules.loss.once import Once, left_out, once
from torchdx.rules.loss.scores import BOUNDED, cross_entropies, picks_labels


class _Place(NamedTuple):
    graph: LossGraph
    loss: Node
    last: Node
    name: str


@rule("L14", "squashed-logits", silences="A08")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the first loss graph in which it stands."""
    for place in _places(record):
        if place.last.op in BOUNDED:
            yield _bounded(place, once(record, place.last))
            return
        if place.last.op == "NativeDropout" or place.last.via == "dropout":
            yield _dropped(place)
            return


def _places(record: Record) -> Iterator[_Place]:
    """Every loss that applies its own softmax or sigmoid, with the operation that feeds it."""
    for graph, outer, inner, classes in cross_entropies(record):
        if classes > 1 and picks_labels(graph, outer):
            yield _Place(graph, outer, inner, "cross-entropy")
    for graph in record.graphs.values():
        for head in graph.heads:
            inner_ = graph.source(graph.input(head, 0))
            if head.op == "BinaryCrossEntropyWithLogits" and inner_ is not None:
                yield _Place(graph, head, inner_, "binary cross-entropy")


def _bounded(place: _Place, seen: Once) -> Finding:
    function, limit = BOUNDED[place.last.op]
    return _finding(
        place,
        f"the scores pass a {function} just before the {place.name}: none can lie {limit}, which "
        "the loss needs to rule a class out",
        left_out(place.last.op, function, seen),
    )


def _dropped(place: _Place) -> Finding:
    return _finding(
        place,
        f"a dropout sets scores to 0 at random just before the {place.name}, those of the right "
        "class too: the loss cannot fall to zero in training",
        Prescription("linear_head", "move the dropout before the last layer", where="dropout"),
    )


def _finding(place: _Place, text: str, prescription: Prescription) -> Finding:
    name = "dropout" if place.last.op not in BOUNDED else place.last.op
    return Finding(
        text=text,
        line=place.last.line or place.loss.line or place.graph.backward,
        place="loss",
        evidence=(Evidence(f"operation that feeds the {place.name}", name, "an affine layer"),),
        prescriptions=(prescription,),
    )
