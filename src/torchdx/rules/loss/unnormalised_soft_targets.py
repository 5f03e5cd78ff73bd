"""unnormalised-soft-targets (L15): target rows of a cross-entropy do not sum to one.

## What is seen
A cross-entropy with a share for each class as target, and rows whose shares sum to anything but
one, or hold negative ones.
## Why the net does not learn
The loss is the cross-entropy with the rows made to sum to one, times their sum: rows count for more
or less than others, the floor lies above zero or below, and with negative shares the loss has no
floor at all.
## When this is wrong
Rows that all sum to the same constant only scale the loss.
## What to try
Divide each row by its sum; a softmax where the targets are scores; one sigmoid a class where rows
may have several labels.
## Sources
PyTorch forum 110478, 117545; `torch.nn.CrossEntropyLoss`, targets as probabilities.
"""

from collections.abc import Iterator

from torchdx.record.model import Record
from torchdx.rules.asked import Asked, asked
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule

ROUNDING = 0.01  # half precision sums a thousand shares to within this


@rule("L15", "unnormalised-soft-targets", silences="L12 O01 A07 O17")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the first loss of this kind."""
    for loss in asked(record):
        sums = loss.facts.get("row_sum")
        if loss.facts["loss"] != "soft" or not sums:
            continue
        negative = loss.facts["min"] < -ROUNDING
        if negative or abs(sums[0] - 1) > ROUNDING or abs(sums[1] - 1) > ROUNDING:
            yield _finding(loss, sums)
            return


def _finding(loss: Asked, sums: list[float]) -> Finding:
    low = loss.facts["min"]
    also = f", and shares go down to {low:.3g}" if low < -ROUNDING else ""
    return Finding(
        text=f"the target rows of the cross-entropy sum to {sums[0]:.3g} to {sums[1]:.3g} instead "
        f"of one{also}",
        line=loss.line,
        place="loss",
        evidence=(
            Evidence("least sum of a target row", float(sums[0]), 1),
            Evidence("greatest sum of a target row", float(sums[1]), 1),
            Evidence("least share", float(low), 0),
        ),
        prescriptions=(
            Prescription("normalise_targets", "make each target row sum to one, of shares >= 0"),
        ),
    )
