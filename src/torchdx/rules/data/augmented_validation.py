"""augmented-validation (D12): the rows that a model is judged on are altered at random.

## What is seen
Two validation passes have the same labels in the same order, but hardly a row of the second came in
the first; and each row is nearer to the one in its place than to others of its label, so that both
were made from one.
## Why the net does not learn
It may learn. But its score is that of altered rows, lower than it would be on the rows themselves,
and differs from pass to pass with the same weights: choices by it (best epoch, early stopping, rate
on plateau) follow the dice.
## When this is wrong
Averaging over several altered copies of each row (test-time augmentation) is meant: there each row
is judged several times in a pass, and this rule is silent; as it is where the rows are what another
model has made. When robustness against noise is what is measured, draw the noise once.
## What to try
Give the validation set its own transforms, without the random ones. In a data set that is split
after it was made, wrap the parts instead of sharing one object.
## Sources
Stack Overflow 46239839, 59007484; torchvision's reference scripts, which have two presets, one for
training and one for evaluation.
"""

from collections.abc import Iterator

from torchdx.record.model import Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule
from torchdx.rules.data.judged_rows import Judged, judged

# Rows of the second pass that came in the first: 0.00 where they are altered, 0.97 and more where
# they are not. Transforms that act on half of the rows only leave one row in four as it was, twice.
RECURRING = 0.6
# Distance to the row in the same place, over that to another one of its label: 1 where rows are
# drawn anew for the same labels.
KIN = 0.95
TURNS = 1.5  # rows judged for each label, above which copies are averaged
FEWEST = 30  # rows


@rule("D12", "augmented-validation")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the first set that is altered."""
    for one in judged(record):
        if _altered(one) and not _meant(one):
            yield _finding(one)
            return


def _altered(one: Judged) -> bool:
    facts = one.facts
    if facts["recurring"] is None or not facts["labels_same"] or facts.get("kin") is None:
        return False
    enough = facts["rows"] >= FEWEST and facts["labels"] > 1
    return bool(enough and facts["recurring"] < RECURRING and facts["kin"] < KIN)


def _meant(one: Judged) -> bool:
    """Whether copies are averaged, or the rows come from another model."""
    return bool((one.facts["turns"] or 1) > TURNS or one.facts.get("derived"))


def _finding(one: Judged) -> Finding:
    facts = one.facts
    return Finding(
        text=f"of the rows in one validation pass {facts['recurring']:.0%} came in the pass "
        f"before, although their labels are the same in the same order: the rows are altered at "
        f"random",
        line=one.line,
        place=one.model,
        severity="suspicion",
        confidence="strong",
        evidence=(
            Evidence("share of the rows that came in the pass before", facts["recurring"], 1.0),
            Evidence(
                "distance to the row in the same place over that to others of its label",
                round(facts["kin"], 3),
                KIN,
            ),
        ),
        prescriptions=(
            Prescription(
                "eval_transform", "judge rows as they are, without random transforms or noise"
            ),
        ),
        confirm="two validations with the same weights give two scores",
    )
