"""squared-error-on-classes (L10): a squared error is asked to tell classes apart.

## What is seen
A squared (or Huber) error whose targets are classes: rows of one 1 and zeros otherwise, or one
whole number a row, of few kinds, whose neighbours in number are no nearer to each other than
others.
## Why the net does not learn
With one output for a class number, a picture between a 1 and a 9 is best answered with a 5: an
order is asked for that the classes do not have. With one output a class, the gradient through a
softmax or sigmoid vanishes just where the answer is most wrong, and a wrong class with much
confidence costs at most 2.
## When this is wrong
Numbers that are counts or grades are rightly fitted by squares: their neighbours agree, and this
rule is silent. A Brier score is a proper one; it is only slow. GANs with least squares ask for one
value in a batch and are passed over.
## What to try
Cross-entropy on the scores, one output a class.
## Sources
Stack Overflow 50641866; Golik, Doetsch & Ney 2013, cross-entropy against squared error; Hui &
Belkin 2021 (arXiv 2006.07322) for where squares do as well.
"""

from collections.abc import Iterator

from torchdx.record.model import Record
from torchdx.rules.asked import Asked, asked, neighbours
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule

# Different whole numbers that count as classes. Every classification set of the corpora has 3 to
# 10; of numbers with an order, whole targets took 25 values (diabetes) or more.
FEW = 20
# How far apart labels of disagreeing neighbours lie, over that of any two rows that disagree: 0.78
# to 1.22 on digits, Fashion-MNIST and wine, 0.33 to 0.42 where miles per gallon were cut in levels.
NO_ORDER = 0.6
KINDS = 0.95  # neighbours that agree so often stand for kinds: too few disagree to be measured


@rule("L10", "squared-error-on-classes")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the first loss of this kind."""
    for loss in asked(record):
        if loss.facts["loss"] != "values" or not loss.facts["whole"]:
            continue
        if _one_hot(loss):
            yield _finding(loss, "each row asks for one 1 among zeros", loss.facts["classes"])
            return
        order = _order(record, loss)
        if loss.facts["classes"] == 1 and order is not None and order >= NO_ORDER:
            kinds = loss.facts["distinct"]
            yield _finding(loss, f"one output is asked for {kinds} class numbers", kinds, order)
            return


def _one_hot(loss: Asked) -> bool:
    facts = loss.facts
    sums = facts.get("row_sum") or [0, 0]
    binary = facts["min"] == 0 and facts["max"] == 1
    return bool(binary and facts["classes"] > 2 and sums[0] == sums[1] == 1)  # noqa: PLR2004


def _order(record: Record, loss: Asked) -> float | None:
    """How ordered the labels are, where they are few whole numbers."""
    if not 2 < loss.facts["distinct"] <= FEW:  # noqa: PLR2004  # two classes have no order
        return None
    near = [n for n in neighbours(record) if n["set"] == loss.graph.key]
    if not near:
        return None
    if near[0]["agreement"] >= KINDS:
        return 1.0
    value = near[0].get("order")
    return None if value is None else float(value)


def _finding(loss: Asked, what: str, kinds: int, order: float | None = None) -> Finding:
    evidence = [Evidence("different targets", kinds, FEW)]
    if order is not None:
        apart = "distance of disagreeing neighbours' labels over that of any rows"
        evidence.append(Evidence(apart, order, NO_ORDER))
    return Finding(
        text=f"a squared error tells classes apart: {what}",
        line=loss.line,
        place="loss",
        severity="suspicion",
        confidence="strong",
        evidence=tuple(evidence),
        prescriptions=(
            Prescription("cross_entropy", "one output a class, and cross-entropy on the scores"),
        ),
        confirm="the same run with cross-entropy reaches a better accuracy in as many steps",
    )
