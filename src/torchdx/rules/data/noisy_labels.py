"""noisy-labels (D05): a good part of the labels is dealt out at random.

## What is seen
Rows lie among neighbours that agree on a label, but many of these rows have another one: any other,
as often as it is common, not one that is alike. The model's loss ends at a floor, and it is not
more often right than such labels allow, or the rows that it is judged on show no such thing.
## Why the net does not learn
It learns the labels' sense first and could stop there; what it learns afterwards is which rows are
wrong. The loss cannot fall further on any other rows, and later passes do harm.
## When this is wrong
Classes that overlap disagree with few others of their kind, and these are left out. Labels that
nearness cannot tell have no neighbours that agree. Noise between two or three classes looks like
overlap, and is not told; neither is label smoothing, nor noise that a loss of your own is made for.
## What to try
Look at rows whose neighbours all have another label. If a join, a sort or a second source gave the
labels, check that its key is unique. Else use fewer passes, label smoothing or a robust loss.
## Sources
Pleiss et al. 2020, "Identifying mislabeled data using the area under the margin ranking"; Wilson
1972 on editing by nearest neighbours.
"""

from collections.abc import Iterator

from torchdx.record.model import Json, Record
from torchdx.rules.base import Answer, Evidence, Excluded, Finding, Prescription, rule
from torchdx.rules.data.learned_rows import Learned, ended, gain, learned

# Part of the labels that looks dealt out, among rows whose neighbours agree (`stray`). Clean labels
# of digits, MNIST, Fashion-MNIST, wine, iris and blobs: 0.00; classes cut out of noise by planes:
# 0.16. Where a share was dealt out, the estimate was within 0.04 of it for 0.1 to 0.5 (digits,
# Fashion-MNIST, blobs), within 0.15 on the 150 rows of wine and iris. Healthy programs: 0.00, and
# 0.05 to 0.18 in four of 126. Sick, with 0.30 and 0.39: 0.39 and 0.33.
STRAY = 0.25
# Share of the rows whose neighbours agree. Of healthy programs: 0.64 to 0.99, once 0.46; with
# 0.4 of the labels dealt out still 0.4 to 0.7. Of data that it cannot tell well (Fashion-MNIST and
# digits under noise of twice or five times their deviation): 0.004 to 0.31.
SURE = 0.33
CLEAN = 1 / 3  # a judged set whose labels stray less than this part of the others' is clean
# Rows that a deal of all labels would put to two classes, on average: from fewer, the median over
# pairs falls to 0 whatever the labels (350 rows of digits with 0.39 dealt out: 0.00).
PAIR = 4.0
# Classes, counted as one over the sum of their squared shares. With fewer, two that are alike make
# most of the pairs: a healthy net for 47 % sandals, 48 % sneakers and 5 % boots has 0.24.
KINDS = 3.5
CHANGE = 0.02  # of the rows that come again, with another label
LEARNED = 0.15  # from the commonest label to all right: the model does learn something


@rule("D05", "noisy-labels", silences="R03 A08 O17")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the first table whose labels stray."""
    for table in learned(record):
        near = table.neighbours
        stray, sure = near.get("stray"), near.get("sure", 0.0)
        if stray is None or not _enough(table, near) or stray < STRAY or sure < SURE:
            continue
        if _changes(table):
            continue
        proof = _cleaner(table, stray) or _floor(table, stray)
        if proof is not None:
            yield _finding(table, stray, sure, proof)
            return


def _enough(table: Learned, near: Json) -> bool:
    """Whether there are classes enough to part noise from overlap, and rows enough for these."""
    even = sum(share**2 for share in table.shares)
    if not even or 1 / even < KINDS:
        return False
    return bool(near["rows"] * near.get("sure", 0.0) >= PAIR / even**2)


def _changes(table: Learned) -> bool:
    """Whether rows come with other labels later: then somebody deals them out on purpose."""
    return (table.inputs.get("conflicts") or 0.0) > CHANGE


def _cleaner(table: Learned, stray: float) -> Evidence | None:
    """A judged set of the same kind whose labels do not stray."""
    judged = [near for near in table.judged("neighbours") if _enough(table, near)]
    least = min((n["stray"] for n in judged if n.get("stray") is not None), default=None)
    if least is None or least > CLEAN * stray:
        return None
    return Evidence("labels dealt out among judged rows", round(least, 3), round(stray, 3))


def _floor(table: Learned, stray: float) -> Evidence | None:
    """The model has learned, but is not more often right than such labels allow."""
    best = max(table.held_out, default=None)
    if best is None:
        best = ended(table.signal("prediction.accuracy"))
    if best is None or table.base is None:
        return None
    most = 1 - stray * (1 - sum(share**2 for share in table.shares))
    if best > most or gain(best, table.base) < LEARNED:
        return None
    return Evidence("best accuracy", round(best, 3), round(most, 3))


def _finding(table: Learned, stray: float, sure: float, proof: Evidence) -> Finding:
    rows = table.neighbours["rows"]
    text = f"about {stray:.0%} of the labels look dealt out at random: of {rows} rows, {sure:.0%} "
    text += "lie among neighbours that agree on a label, and that part of these has any other; "
    strong = proof.what != "best accuracy"
    if strong:
        text += f"of the rows that the model is judged on, it is {proof.value:.0%}"
    else:
        text += f"the model is right in {proof.value:.0%} at best, such labels allow "
        text += f"{proof.against:.0%}"
    return Finding(
        text=text,
        line=table.loss_line,
        place="labels",
        severity="suspicion",
        confidence="strong" if strong else "weak",
        evidence=(
            Evidence("part of the labels that strays", round(stray, 3), STRAY),
            Evidence("rows whose neighbours agree", round(sure, 3), SURE),
            proof,
        ),
        excluded=(
            Excluded(
                "D04",
                "agreement with neighbours",
                round(table.neighbours["agreement"], 3),
                round(table.neighbours["chance"], 3),
            ),
        ),
        prescriptions=(
            Prescription("relabel", "look at rows whose neighbours all have another label"),
        ),
        confirm="twenty of the rows whose neighbours all have one other label, looked at",
    )
