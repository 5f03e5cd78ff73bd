"""step-too-short (O02): the weights hardly move, and the run ends before they have learnt.

## What is seen
Over the whole run the weights travelled a small part of their own size, the loss ends well above
what it could be and was still falling or had hardly begun, and the steps were far below what the
curvature allows.
## Why the net does not learn
It does, at a crawl. With a rate a thousand times too small, or a few steps, the run ends where it
began.
## When this is wrong
Fine-tuning moves weights little on purpose: where the loss begins well below that of a constant
answer, nothing is said. Clipping, Adam's eps, dead units and vanishing gradients make steps short
as well; the rules for these come first and silence this one.
## What to try
A rate ten times as large or more, as far as half of the curvature bears it; or more epochs.
## Sources
Stack Overflow 59106542, 37213388; Smith 2017 (arXiv 1506.01186), the range test of learning rates.
"""

import math
from collections.abc import Iterator
from statistics import median

from torchdx.record.model import Optimizer, Record
from torchdx.rules.asked import Asked, asked
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule
from torchdx.rules.optimisation.strides import Course, busiest, rate, shares, sharpness
from torchdx.rules.series import early, late

# Steps times the median share of the weights that one changes, over the whole run. Healthy runs
# whose loss stayed above half of its first value: 0.34 and more (HEALTHY), one of 0.13 (a text
# classifier that was still improving). Sick: 0.002 and 0.16.
TRAVEL = 0.2
HEALTHY = 0.34
KEPT = 0.5  # what is left of the loss at least
CONSTANT = 0.7  # of the loss of a constant answer: below, the net had learnt before the run
# Rate times curvature over the limit: sick 4e-6 and 0.004; the text classifier 0.47.
ALLOWED = 0.05


@rule("O02", "step-too-short")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the optimizer that stepped most."""
    optimizer, course = busiest(record), Course(record)
    if optimizer is None or not course.known or course.total < KEPT or course.broken is not None:
        return
    steps = shares(record, optimizer)
    if not steps or not 0 < (travel := optimizer.steps * median(steps)) <= TRAVEL:
        return
    ratio = max(sharpness(record), default=None)
    if ratio is None or ratio > ALLOWED or not _unlearnt(record):
        return
    yield _finding(optimizer, travel, ratio, course)


def _unlearnt(record: Record) -> bool:
    """Whether some loss began near that of a constant answer and is still near it."""
    for loss in asked(record):
        series, base = loss.series(record, "loss.head"), _constant(record, loss)
        first, last = early(series), late(series)
        if base and first is not None and first >= CONSTANT * base:
            return last is None or last >= KEPT * base
    return False


def _constant(record: Record, loss: Asked) -> float | None:
    """What a constant answer costs: the labels' entropy, or their variance."""
    if loss.facts["loss"] == "values":
        return float(loss.facts["variance"])
    return early(loss.series(record, "target.entropy"))


def _finding(optimizer: Optimizer, travel: float, ratio: float, course: Course) -> Finding:
    longer = 1 / max(ratio, 1e-9)
    times = _times(travel, longer)
    return Finding(
        text=f"{optimizer.cls} at a rate of {rate(optimizer):g} moved the weights by "
        f"{travel:.2g} times their size in {optimizer.steps} steps; {course.total:.0%} of the "
        f"loss is left, and the curvature would bear steps {longer:.2g} times as long",
        line=optimizer.line,
        place=f"optimizer {optimizer.id}",
        severity="suspicion",
        confidence="strong",
        evidence=(
            Evidence("way of the weights, in their sizes", travel, TRAVEL),
            Evidence("loss left", course.total, KEPT),
            Evidence("rate times curvature, over the limit", ratio, ALLOWED),
        ),
        prescriptions=(
            Prescription(
                "step_size",
                f"multiply the learning rate by {times}, or train longer",
                to=str(times),
            ),
        ),
        confirm=f"with {times} times the rate the loss falls further in as many steps",
    )


def _times(travel: float, longer: float) -> int:
    """The power of ten that brings the way to that of healthy runs, as far as half of the curvature
    bears it; 10 at least.
    """
    wanted = math.ceil(math.log10(HEALTHY / travel))
    borne = math.floor(math.log10(longer / 2))
    return int(10 ** max(1, min(wanted, borne)))
