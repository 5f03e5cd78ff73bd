"""accuracy-of-regression (M03): predicted numbers are counted as right when equal to the target.

## What is seen
In validation the answer of a model that learns numbers (squared, absolute or Huber loss) is
compared with `==` with its targets, as it is or after rounding both. The targets are no whole
numbers, and take many values.
## Why the net does not learn
It does; a number is all but never hit exactly, so that the score is 0 or near it however good the
answers are. After rounding it is the share of answers within the same unit, which depends on the
unit and says nothing of the size of errors.
## When this is wrong
Targets that are whole numbers (ratings, counts) may be met by rounded answers, and are passed over;
so are targets of few different values, which are classes in disguise, and answers compared within a
tolerance.
## What to try
Tell the mean absolute or squared error, or R2: `1 - ((y - p) ** 2).mean() / y.var()`.
## Sources
Stack Overflow 62566558.
"""

from collections.abc import Iterator

from torchdx.record.model import Event, Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule
from torchdx.rules.metric.judged import asked_of, uses

# Targets that are classes in disguise, standardised say, take fewer different values; the sick ones
# take 180 and 208.
VALUES = 20


@rule("M03", "accuracy-of-regression")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the last such comparison."""
    found = [event for event in uses(record, "equal") if _of_numbers(record, event)]
    if found:
        yield _finding(found[-1])


def _of_numbers(record: Record, event: Event) -> bool:
    facts, asked = event.facts, asked_of(record, event)
    values = facts["of"] in {"answer", "affine", "rounded"} and facts["float"]
    if not values or asked is None or asked["loss"] != "values" or asked["classes"] != 1:
        return False
    return not asked["whole"] and asked["distinct"] > VALUES and facts["distinct"] > VALUES // 2


def _finding(event: Event) -> Finding:
    facts = event.facts
    rounded = " after rounding" if facts["of"] == "rounded" else ""
    along = facts["correlation"]
    else_ = "" if along is None else f"; the correlation of the same answers with it is {along:.3f}"
    return Finding(
        text=f"predicted numbers are counted as right where they equal the target{rounded}: "
        f"{facts['share']:.4f} of {facts['elements']} do, of targets that take "
        f"{facts['distinct']} values{else_}",
        line=event.line,
        place=facts["model"],
        evidence=(
            Evidence("share of answers equal to the target", facts["share"]),
            Evidence("correlation of answers and targets", 0.0 if along is None else along),
        ),
        prescriptions=(
            Prescription("metric", "tell the mean absolute error, or R2", where=facts["model"]),
        ),
    )
