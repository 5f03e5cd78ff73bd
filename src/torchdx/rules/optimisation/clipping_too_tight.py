"""clipping-too-tight (O15): every gradient is clipped, so that all steps have one length.

## What is seen
`clip_grad_norm_` cut the gradient in every step looked at, to half its norm or less, and the
optimizer's steps follow the gradient's size.
## Why the net does not learn
A gradient that is always cut to c is a direction alone: every step has length rate times c, however
far the minimum is. The rate is in truth rate times c over the norm.
## When this is wrong
Adam and its kin divide by the gradient's size: a constant factor changes nothing, and they are
passed over. A rate that was tuned with the clipping is right with it; the loss shows it.
## What to try
A limit near the largest norms of healthy steps (their 90th percentile), or a larger rate.
## Sources
Pascanu, Mikolov & Bengio 2013 (arXiv 1211.5063), section 3.2: a threshold of half to ten times the
average norm; DeepCrime (Humbatova et al. 2021), operator "gradient clip".
"""

from collections.abc import Iterator
from statistics import median

from torchdx.record.model import Optimizer, Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule
from torchdx.rules.optimisation.strides import busiest

# Share of the steps that were cut: healthy runs at most 0.83, sick 1.0. Norm over limit, median:
# healthy 1.4 where most were cut, sick 2.9 and 2,100.
CUT = 0.97
OVER = 2.0
ENOUGH = 10  # clips seen


@rule("O15", "clipping-too-tight", silences="O02")
def check(record: Record) -> Iterator[Answer]:
    """One finding for a run whose optimizers follow the gradient's size."""
    ratios = [value for _, value in record.series("clip.ratio")]
    optimizer = busiest(record)
    if len(ratios) < ENOUGH or optimizer is None or optimizer.scale_free:
        return
    cut = sum(ratio > 1 for ratio in ratios) / len(ratios)
    if cut >= CUT and median(ratios) >= OVER:
        yield _finding(record, optimizer, cut, median(ratios))


def _finding(record: Record, optimizer: Optimizer, cut: float, over: float) -> Finding:
    lines = [
        line
        for shape, _ in record.shapes_of(optimizer.id)
        for kind, line, _ in shape.events
        if kind == "clip" and line is not None
    ]
    return Finding(
        text=f"the gradient is clipped in {cut:.0%} of the steps looked at, by a factor of "
        f"{over:.3g} in the middle: every step of {optimizer.cls} has the same length",
        line=lines[0] if lines else optimizer.line,
        place=f"optimizer {optimizer.id}",
        severity="suspicion",
        confidence="strong",
        evidence=(
            Evidence("share of the steps that are clipped", cut, CUT),
            Evidence("norm over the limit, median", over, OVER),
        ),
        prescriptions=(
            Prescription("clipping", f"raise the limit {over:.2g}-fold", to=f"{over:.3g}"),
        ),
        confirm="with the limit raised the loss falls further in as many steps",
    )
