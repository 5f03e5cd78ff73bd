"""majority-class-only (D06): one label is far commoner than the rest, and the model names no other.

## What is seen
At the end of training the model answers practically every row with one class, at least ten times
less often with any other than these are asked for; its share of right answers is just how common
that class is, and its loss is that of a guess by the shares of the labels.
## Why the net does not learn
Saying "no" is right in 19 of 20 rows when 1 in 20 is a yes: the first thing a net learns, and a
place where the loss changes little. What tells the rare class apart comes in few rows, and its
gradient is outvoted in every batch.
## When this is wrong
When the rare class cannot be told from the inputs at all, the answer is as good as any. A
model whose loss is well below the guess's does tell them apart, and needs only a lower threshold;
one whose loss is well above was pushed there, by weights in the loss say. Both are passed over.
## What to try
Weigh the classes in the loss (`pos_weight`, `weight=`), or draw them equally often
(`WeightedRandomSampler`), not both; train longer; judge by balanced accuracy or recall, not by
accuracy.
## Sources
Stack Overflow 59196793 and 53358838; He & Garcia 2009, "Learning from imbalanced data".
"""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean

from torchdx.record.model import Record
from torchdx.rules.base import Answer, Evidence, Excluded, Finding, Prescription, rule
from torchdx.rules.data.learned_rows import Learned, gain, learned
from torchdx.rules.series import LATE, LEAST

# Share of the commonest label. Below it, naming only one class is no answer to how common it is but
# a net that does not learn. Sick: 0.88 and 0.97.
COMMON = 0.75
# How often the rest is named at the end, over how often it is asked for. Sick: 0.00 to 0.03.
# Healthy nets with rare classes: 0.5 to 1.2.
NAMED = 0.1
# Rows of the rest that the last quarter of the samples must have asked for: of ten, naming none by
# chance is out of the question.
ASKED = 10
FEW = 3  # samples from the second half of the run, without which its end is not known
NEAR = 0.04  # share of right answers against that of the commonest label, over these samples
# The loss at the end over that of a guess by shares. Sick: 1.04 and 1.05. Nets that rank rows well
# and say no to all: 0.54 and 0.60. With the rare class's weight inverted: 1.36.
LITTLE, MUCH = 0.85, 1.2
KNOWN = 3.0  # standard deviations above chance that neighbours agree: the classes can be told


@dataclass(frozen=True)
class _End:
    """The last quarter of the samples, as far as they are of the second half of the run.

    rows    how many; `named` the share named otherwise than most; `right` of right answers
    loss    mean loss of a row, over that of a guess by the shares of the labels
    """

    rows: float
    named: float
    right: float
    loss: float


@rule("D06", "majority-class-only", silences="A13 A14 M01")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the first loss whose answers are one-sided."""
    for table in learned(record):
        common = table.base
        end = None if common is None or table.inputs["distinct"] == 1 else _end(table)
        if common is None or end is None or not COMMON <= common < 1:
            continue
        asked = 1 - common
        if end.rows * asked < ASKED or end.named > NAMED * asked:
            continue
        if abs(end.right - common) <= NEAR and LITTLE < end.loss < MUCH:
            yield _finding(table, common, end)
            return


def _end(table: Learned) -> _End | None:
    most, right = table.signal("prediction.top_share"), table.signal("prediction.accuracy")
    rows, losses = table.signal("batch.rows"), table.signal("loss.head")
    plain = table.plain_loss
    later = sum(step > table.record.steps / 2 for step, _ in most)
    last = min(later, max(FEW, round(len(most) * LATE)))
    same = len(most) == len(right) == len(rows) == len(losses)
    if len(most) < LEAST or not same or not plain or last < FEW:
        return None
    counts = [count for _, count in rows[-last:]]
    named = sum((1 - share) * n for (_, share), n in zip(most[-last:], counts, strict=True))
    correct = fmean(value for _, value in right[-last:])
    loss = fmean(value for _, value in losses[-last:])
    return _End(sum(counts), named / sum(counts), correct, loss / plain)


def _finding(table: Learned, common: float, end: _End) -> Finding:
    near = table.neighbours
    apart = near.get("deviation", 0.0) > 0 and not near["numbers"]
    above = (near["agreement"] - near["chance"]) / near["deviation"] if apart else 0.0
    rest = "the other class" if len(table.shares) == 2 else "any other class"  # noqa: PLR2004
    text = f"{common:.1%} of the labels are one class, and in the end the model names {rest} in "
    text += f"{end.named:.2%} of the rows, where {1 - common:.1%} are asked for: its "
    text += f"{end.right:.1%} right answers are no more than how common that class is"
    if above > KNOWN:
        text += "; neighbours do tell the classes apart"
    excluded = [Excluded("A13", "share of the commonest label", round(common, 3), COMMON)]
    if apart:
        fit = round(gain(near["agreement"], near["chance"]), 3)
        excluded.append(Excluded("D04", "neighbours' agreement above chance", fit, 0.0))
    return Finding(
        text=text,
        line=table.loss_line,
        place="labels",
        severity="suspicion",
        confidence="strong" if above > KNOWN else "weak",
        evidence=(
            Evidence("share of the commonest label", round(common, 4), COMMON),
            Evidence("share of rows named otherwise", round(end.named, 4), round(1 - common, 4)),
            Evidence("right answers at the end", round(end.right, 4), round(common, 4)),
            Evidence("loss over that of a guess by shares", round(end.loss, 3), 1.0),
        ),
        excluded=tuple(excluded),
        prescriptions=(
            Prescription(
                "balance",
                "weigh the rare class in the loss (`pos_weight`, `weight`) or draw it more often",
                to=f"{common / (1 - common):.3g}",
            ),
        ),
        confirm="recall of the rare class, and its precision at lower thresholds",
    )
