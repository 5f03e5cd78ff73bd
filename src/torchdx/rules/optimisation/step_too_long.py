"""step-too-long (O01): steps are longer than the loss bears.

## What is seen
One of the first steps changed the weights by more than half their size, and the loss became
infinite, rose tenfold or stopped falling far above where it could be. Or the curvature says so: the
whole 99% interval of rate times curvature lies above what the method bears, and after that the loss
rose tenfold; or it lies above twice that, where no net hovers, and the loss stopped falling.
## Why the net does not learn
Along a direction of curvature c a gradient step of rate r multiplies the distance to the minimum
by 1 - rc: beyond rc = 2 it grows with every step. What is learnt is thrown away by the next step,
units die, numbers overflow. Adam's steps have the size of the rate whatever the gradient, and a
rate a hundred times too large scatters the weights in a few of them.
## When this is wrong
Unscaled inputs, unscaled targets, a summed loss, weights drawn too large or a deep stack without
normalisation make ordinary rates too large; the rules for these come first and silence this one.
Training at the edge of stability (Cohen et al. 2021) has a product at or just above the limit for
long and falls on: the curvature alone says nothing here, nor does an interval that lies across the
limit. Of optimizers that scale each coordinate (Adam) healthy runs are beyond it a thousandfold in
the first steps, while the scales settle: there the curvature is evidence, no proof.
## What to try
A third or a tenth of the learning rate, or a warm-up.
## Sources
Stack Overflow 48934338, 42264716, 37624102; LeCun et al. 1998, "Efficient backprop", section 4.6;
Cohen et al. 2021 (arXiv 2103.00065).
"""

from collections.abc import Iterator

from torchdx.record.model import Optimizer, Record
from torchdx.rules.base import Answer, Evidence, Excluded, Finding, Prescription, rule
from torchdx.rules.optimisation.strides import (
    FIRST,
    Course,
    Curved,
    beyond,
    bound,
    busiest,
    curved,
    rate,
    shares,
)

# Largest change of the weights in one of the first five steps over their size, in 181 healthy runs:
# at most 0.27 (RMSprop, whose first step is long), else 0.15. Sick: 0.67 and more.
LONG_STEP = 0.5
RISE = 10.0  # greatest loss over the first; healthy runs reach 3.0
STALLED = 0.98  # loss of the last quarter over the third; and over the first losses at least
ABOVE = 0.1
HOVERING = 2.0  # times the limit; healthy runs reach 1.4 with SGD, and hover at 1.0 to 1.2


@rule("O01", "step-too-long", silences="O17 A02 A13 L19 D06 O10 P04 R03")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the optimizer that stepped most."""
    optimizer = busiest(record)
    if optimizer is None:
        return
    first = shares(record, optimizer)[:FIRST]
    course = Course(record)
    harm, long = _harm(course), bool(first) and max(first) >= LONG_STEP
    proof = None if optimizer.scale_free else _proof(record, course)
    if harm and (long or proof is not None):
        yield _finding(record, optimizer, max(first) if long else None, harm, proof)


def _proof(record: Record, course: Course) -> Curved | None:
    """A measurement beyond what the method bears, before the loss rose, or far beyond it."""
    before = [
        k for k in curved(record) if k.low > 1 and course.top >= RISE and k.step < course.peak
    ]
    far = beyond(record, HOVERING)
    return max(before, key=lambda known: known.low, default=far)


def _harm(course: Course) -> str:
    if course.broken is not None:
        return f"the loss is not finite from step {course.broken} on"
    if course.top >= RISE:
        return f"the loss rose to {course.top:.3g} times its first value"
    if course.known and course.fall >= STALLED and course.total >= ABOVE:
        return f"the loss stopped falling at {course.total:.2f} times its first value"
    return ""


def _finding(
    record: Record, optimizer: Optimizer, step: float | None, harm: str, proof: Curved | None
) -> Finding:
    known = proof or max(curved(record), key=lambda k: k.low, default=None)
    what = "longest of the first steps, in sizes of the weights"
    evidence = [] if step is None else [Evidence(what, step, LONG_STEP)]
    evidence += [] if known is None else [bound(known, 1)]
    said = []
    if step is not None:
        said.append(f"changed the weights by {step:.2g} times their size in one of the first steps")
    if proof is not None:
        said.append(f"was {proof} times what the curvature bears at step {proof.step} (99%)")
    return Finding(
        text=f"{optimizer.cls} at a rate of {rate(optimizer):g} {', '.join(said)}, and {harm}",
        line=optimizer.line,
        place=f"optimizer {optimizer.id}",
        severity="fault" if "stopped" not in harm else "suspicion",
        confidence="strong",
        evidence=tuple(evidence),
        excluded=_inputs(record),
        prescriptions=(Prescription("step_size", "divide the learning rate by 10", to="0.1"),),
        confirm="with a tenth of the rate the loss falls",
    )


def _inputs(record: Record) -> tuple[Excluded, ...]:
    """Unscaled inputs as the rival: their size."""
    seen = [e.facts for e in record.of("inputs") if e.facts["role"] == "learned"]
    if not seen or seen[-1].get("std") is None:
        return ()
    return (Excluded("D01", "the inputs' deviation is", float(seen[-1]["std"]), 1),)
