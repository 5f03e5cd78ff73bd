"""fluctuating-loss (O17): the loss swings without falling, and this says by what.

## What is seen
In the second half of the run the loss no longer falls but swings by most of its size, well above
zero, and the first steps changed the weights by a fifth of their size or more.
## Why the net does not learn
Three causes look alike. *Curvature*: with a rate near or beyond 2 over the curvature each step
overshoots. This is said where the whole 99% interval of the measured curvature lies there; where
the whole of it lies below, it is ruled out; across, neither is said. *Gradient noise*: a small
batch points elsewhere each time, and the steps are too long to average it out. *Order of the data*:
batches of one kind after another pull the weights to and fro; `unshuffled-data` is the rule for
that.
## When this is wrong
A noisy loss at its floor swings by its own size: that of small batches does so at any rate. Only
together with long steps and no fall is it told.
## What to try
A smaller rate; for noise, a larger batch or a schedule that ends low.
## Sources
McCandlish et al. 2018 (arXiv 1812.06162); Cohen et al. 2021 (arXiv 2103.00065); Bottou, Curtis &
Nocedal 2018, section 4.
"""

from collections.abc import Iterator

from torchdx.record.model import Optimizer, Record
from torchdx.rules.base import Answer, Evidence, Excluded, Finding, Prescription, rule
from torchdx.rules.optimisation.strides import (
    FIRST,
    Course,
    Curved,
    bound,
    busiest,
    curved,
    rate,
    shares,
)
from torchdx.rules.series import early

# Largest change of the weights in one of the first steps. Healthy runs whose loss swings and does
# not fall in the second half: at most 0.05; sick 0.22 and 0.30.
LONG_STEP = 0.15
NO_FALL = 1.0  # loss of the last quarter over the third
SWING = 0.7  # 10th to 90th percentile over the median, of the second half
FLOOR = 0.05  # of the first loss: below it there is little left to learn
CURVED = 0.5  # rate times curvature over the limit: from here on steps overshoot half the way


@rule("O17", "fluctuating-loss", silences="R03 P04")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the optimizer that stepped most."""
    optimizer, course = busiest(record), Course(record)
    if optimizer is None or not course.known or course.broken is not None:
        return
    first = shares(record, optimizer)[:FIRST]
    swings = course.fall >= NO_FALL and course.swing >= SWING and course.total >= FLOOR
    if swings and first and max(first) >= LONG_STEP:
        yield _finding(record, optimizer, max(first), course)


def _finding(record: Record, optimizer: Optimizer, step: float, course: Course) -> Finding:
    known = max(curved(record), key=lambda k: k.low, default=None)
    steep = known is not None and known.low >= CURVED and not optimizer.scale_free
    evidence = [
        Evidence("swing of the second half, over its median", course.swing, SWING),
        Evidence("loss of the last quarter over the third", course.fall, NO_FALL),
        Evidence("longest of the first steps, in sizes of the weights", step, LONG_STEP),
    ]
    if known is not None:
        evidence.append(bound(known, CURVED))
    return Finding(
        text=f"the loss swings by {course.swing:.0%} of its size and no longer falls, at "
        f"{course.total:.2f} times its first value: {_cause(known, steep=steep)} "
        f"({optimizer.cls}, rate {rate(optimizer):g})",
        line=optimizer.line,
        place=f"optimizer {optimizer.id}",
        severity="suspicion",
        confidence="strong" if steep else "weak",
        evidence=tuple(evidence),
        excluded=_order(record),
        prescriptions=(Prescription("step_size", "divide the learning rate by 10", to="0.1"),),
        confirm="with a tenth of the rate the loss falls on",
    )


def _cause(known: Curved | None, *, steep: bool) -> str:
    """By what it swings, as far as the interval of the curvature tells."""
    if known is not None and steep:
        return f"the step size against the curvature, {known} times what it bears (99%)"
    if known is not None and known.low < CURVED <= known.high:
        return (
            f"the step size against gradient noise or the curvature ({known}, 99%: not told apart)"
        )
    return "the step size against gradient noise"


def _order(record: Record) -> tuple[Excluded, ...]:
    """The order of the data as the rival: how mixed batches are."""
    for series in record.signals.get("target.entropy", {}).values():
        mixed = early(series)
        if mixed is not None:
            return (Excluded("D08", "entropy of the labels in a batch, nats,", mixed),)
    return ()
