"""dropout-before-batch-norm (N05): batch norm is given what dropout has thinned out.

## What is seen
A batch norm whose input comes from a dropout with no weights in between, in training; and that the
variance of this input, for the same batch, is larger with dropout at work than with it off.
## Why the net does not learn
Dropout keeps the mean of its values and raises their variance. The running statistics are those of
training, with dropout; in evaluation the variance is smaller and the norm divides by too much, in
each such layer again. In training, each channel is divided by the noise of the mask as well.
## When this is wrong
Batch norm first, then activation, then dropout, then the next layer's weights is the usual order
and passed over: there the shift is spread over all units, and mostly small.
## What to try
Batch norm, activation, dropout, in this order; or dropout only behind the last batch norm.
## Sources
Li et al. 2018 (disharmony between dropout and batch normalisation by variance shift); Stack
Overflow 39691902; NeuraLint's rule for dropout before batch norm; docs/limits.md, N05.
"""

from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any

from torchdx.record.model import Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule
from torchdx.rules.normalisation.norms import History, histories, joined

SHIFT = (
    0.9  # variance without dropout over that with it; p = 0.1 on zero-mean values gives just that
)
LOOKS = 2


@rule("N05", "dropout-before-batch-norm", silences="N02")
def check(record: Record) -> Iterator[Answer]:
    """One finding for all such layers, at the one that is shifted most."""
    shifted = []
    for norm in histories(record):
        ratios = [_ratio(seen) for _, seen in norm.seen if seen["train"]["direct"]]
        if len(ratios) >= LOOKS and median(ratios) <= SHIFT:
            shifted.append((median(ratios), norm))
    if shifted:
        ratio, norm = min(shifted, key=lambda pair: pair[0])
        yield _finding(record, norm, ratio, len(shifted))


def _ratio(seen: Mapping[str, Any]) -> float:
    """Variance of what the norm is given with dropout off, over that with dropout at work."""
    with_it = float(seen["train"]["variance"])
    return float(seen["plain"]["variance"]) / with_it if with_it else 1.0


def _finding(record: Record, norm: History, ratio: float, count: int) -> Finding:
    event, seen = norm.seen[-1]
    dropout = seen["train"]["after"]
    path = joined(event.facts["model"], dropout["path"])
    others = f"; {count} batch norms are given dropped values" if count > 1 else ""
    return Finding(
        text=f"{norm.path or norm.cls} follows a dropout with p={dropout['p']:g}: in evaluation "
        f"its input has {ratio:.0%} of the variance that its running statistics were taken "
        f"from{others}",
        line=record.made(path) or record.line(dropout["place"]) or event.line,
        place=norm.path,
        severity="suspicion",
        confirm="with dropout behind the batch norm, the loss in evaluation is lower",
        evidence=(
            Evidence("variance of its input without dropout, over that with it", ratio, 1.0),
            Evidence("batch norms that are given dropped values", count, 0),
        ),
        prescriptions=(
            Prescription(
                "order", "move dropout behind the batch norm and its activation", where=path
            ),
        ),
    )
