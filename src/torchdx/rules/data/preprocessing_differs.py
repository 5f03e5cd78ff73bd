"""preprocessing-differs (D13): rows are prepared otherwise for validation than for training.

## What is seen
The rows that a model is judged on have another mean or spread than those that it learned from, by
far more than two samples of the same rows would; the learned rows are not altered at random, which
would explain it; and the loss on the judged rows is worse in every pass, from the first on.
## Why the net does not learn
It learns for inputs of one scale and is asked about inputs of another. The validation score is bad
or constant however long it trains.
## When this is wrong
When the sets come from different sources (another hospital, camera, year) their moments differ for
that reason; such differences are smaller, mostly, and tried once, at the end, or beside a proper
set: there this rule is silent. Overfitting makes the loss worse later, not from the first pass on,
and leaves the inputs alike.
## What to try
Put the transforms in one place and use it for both; fit scalers on the training part and apply them
(`transform`, not `fit_transform`, and not nothing) to the others.
## Sources
Stack Overflow 55786384; scikit-learn's user guide, "common pitfalls: inconsistent preprocessing".
"""

from collections.abc import Iterator
from statistics import median

from torchdx.record.model import Record
from torchdx.rules.base import Answer, Evidence, Excluded, Finding, Prescription, rule
from torchdx.rules.data.judged_rows import Judged, judged

# Spread of the judged rows over that of the learned ones, or the inverse. Healthy programs that do
# not augment: up to 1.14; one scaling that was left out: 3.3, and 250.
SCALE = 2.0
# Difference of the means in deviations. Healthy: up to 0.13 (170 rows); left out: 65. MNIST less
# its mean against MNIST as it is: 0.42.
SHIFT = 0.4
SURE = 6.0  # standard errors of one column's mean: chance gives 4 among 256 columns
# Times these limits no augmentation moves rows that far.
BEYOND = 5.0
# Loss on the judged rows over the training loss: median of the passes, and least. Of 180 sets that
# were prepared alike, where the model does not overfit: 0.5 to 1.15; otherwise 2.3 and 1.35, 180
# and 119.
WORSE = 1.5
LEAST = 1.15
FEWEST = 30  # rows


@rule("D13", "preprocessing-differs", silences="R03")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the first set whose rows are other ones, to the model's harm."""
    for one in judged(record):
        far = _far(one)
        if far <= 1 or one.facts["columns"] < SURE or one.facts["rows"] < FEWEST:
            continue
        if one.facts.get("derived") or (one.fresh is not False and far < BEYOND):
            continue
        worse = _worse(one)
        if worse is not None and worse >= WORSE and not _other(record, one):
            yield _finding(one, worse)
            return


def _far(one: Judged) -> float:
    """How far the moments differ, in units of the limits."""
    shift, scale = one.facts.get("shift"), one.facts.get("scale")
    if shift is None or not scale:
        return 0.0
    return float(max(abs(shift) / SHIFT, max(scale, 1 / scale) / SCALE))


def _worse(one: Judged) -> float | None:
    """How much larger the loss on the judged rows is, None where that is not so in every pass."""
    if not one.comparable:
        return None
    ratios = [loss / learned for loss, learned in one.losses if learned > 0]
    return median(ratios) if ratios and min(ratios) >= LEAST else None


def _other(record: Record, one: Judged) -> bool:
    """Whether the model is also judged on rows like the learned ones: this is a trial, then."""
    own = (other for other in judged(record) if other.model == one.model)
    return any(other.facts["set"] != one.facts["set"] and _far(other) <= 1 for other in own)


def _finding(one: Judged, worse: float) -> Finding:
    facts = one.facts
    first = next(loss / learned for loss, learned in one.losses if learned > 0)
    return Finding(
        text=f"the rows that the model is judged on are scaled otherwise than those that it "
        f"learned from: their spread is {facts['scale']:.3g} times as large, their mean "
        f"{facts['shift']:.2g} deviations off; the loss on them is {worse:.2g} times the "
        f"training loss",
        line=one.line,
        place=one.model,
        severity="suspicion",
        confidence="strong",
        excluded=(
            Excluded("R03", "judged over training loss in the first pass", first, LEAST),
            *_not_augmented(one),
        ),
        evidence=(
            Evidence("spread over that of the learned rows", facts["scale"], SCALE),
            Evidence("difference of the means, in deviations", facts["shift"], SHIFT),
            Evidence("greatest difference of a column, in standard errors", facts["columns"], SURE),
        ),
        prescriptions=(
            Prescription("same_transform", "prepare both sets with the same steps and numbers"),
        ),
        confirm="prepared like the training rows, the judged rows have the training loss",
    )


def _not_augmented(one: Judged) -> tuple[Excluded, ...]:
    if one.fresh is not False:
        return ()
    what = "learned rows that came again, of those expected to"
    return (Excluded("D14", what, one.facts["repeated"], round(one.facts["expected"], 1)),)
