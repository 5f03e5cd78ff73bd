"""class-loss-on-continuous-target (L11): a loss for classes is given a quantity.

## What is seen
A binary cross-entropy whose targets lie outside 0 to 1 and are not a few codes; or a cross-entropy
over many classes that are levels of one quantity: labels of neighbouring rows, where they disagree,
are near each other as numbers.
## Why the net does not learn
Outside 0 to 1 the binary loss has no lower bound: it falls by pushing scores to infinity. Over
unordered classes every wrong level costs the same, and what a row of one level teaches does not
help the next.
## When this is wrong
Shares between 0 and 1 (pixels, say) are fine for a binary cross-entropy. Levels are classified on
purpose in ordinal and distributional regression.
## What to try
A squared or Huber error on the standardised quantity.
## Sources
Stack Overflow 38399609; `torch.nn.BCEWithLogitsLoss`: "the targets t[i] should be numbers between 0
and 1".
"""

from collections.abc import Iterator
from dataclasses import replace

from torchdx.record.model import Record
from torchdx.rules.asked import Asked, asked, neighbours
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule

CODES = 5  # as few different values are codes of classes, another matter
# Levels from which an order is looked for; and how far apart the labels of disagreeing neighbours
# are, over those of any two rows that disagree: 0.78 to 1.22 on classes (digits, Fashion-MNIST,
# wine), 0.33 to 0.42 where miles per gallon were cut into levels.
LEVELS = 11
ORDERED = 0.55
_EDGE = 1e-3  # targets so little outside are rounding


@rule("L11", "class-loss-on-continuous-target", silences="L12 O01 A07")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the first loss of this kind."""
    for loss in asked(record):
        facts = loss.facts
        if facts["loss"] == "units" and facts["distinct"] > CODES:
            if facts["min"] < -_EDGE or facts["max"] > 1 + _EDGE:
                yield _outside(loss)
                return
        elif facts["loss"] == "classes" and _used(loss) >= LEVELS:
            order = next(
                (n.get("order") for n in neighbours(record) if n["set"] == loss.graph.key), None
            )
            if order is not None and order <= ORDERED:
                yield _levels(loss, float(order))
                return


def _used(loss: Asked) -> int:
    return sum(count > 0 for count in loss.facts["counts"])


def _outside(loss: Asked) -> Finding:
    low, high = loss.facts["min"], loss.facts["max"]
    return Finding(
        text=f"a binary cross-entropy is given a quantity: targets run from {low:.3g} to "
        f"{high:.3g}, and outside 0 to 1 this loss has no lower bound",
        line=loss.line,
        place="loss",
        evidence=(
            Evidence("least target", float(low), 0),
            Evidence("greatest target", float(high), 1),
            Evidence("different targets seen", loss.facts["distinct"], CODES),
        ),
        prescriptions=(replace(_PRESCRIPTION, to=f"{loss.facts['mean']:.6g} {loss.spread:.6g}"),),
    )


def _levels(loss: Asked, order: float) -> Finding:
    return Finding(
        text=f"{_used(loss)} classes are levels of one quantity: where neighbouring rows disagree, "
        f"their labels are {order:.2f} times as far apart as those of any two rows",
        line=loss.line,
        place="loss",
        severity="suspicion",
        confidence="strong",
        evidence=(
            Evidence("distance of disagreeing neighbours' labels", order, ORDERED),
            Evidence("classes asked for", _used(loss), LEVELS),
        ),
        prescriptions=(_PRESCRIPTION,),
        confirm="the same net with one output and a squared error predicts the quantity better",
    )


_PRESCRIPTION = Prescription(
    "squared_error", "standardise the quantity and fit it with one output and a squared error"
)
