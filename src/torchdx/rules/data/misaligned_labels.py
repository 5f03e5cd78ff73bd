"""misaligned-labels (D04): the labels belong to other rows than those they stand beside.

## What is seen
Rows lie in groups, but a row's nearest neighbours have its label no more often than if the labels
had been dealt out at random. And one of: moved by a row or two, the labels fit; the same row comes
again with another label; the rows that the model is judged on agree with their neighbours well; or
its held-out answers stay at chance.
## Why the net does not learn
There is nothing to learn but which label is how common. A large net memorises its rows after a
while, which looks like progress and is worth nothing on others.
## When this is wrong
Some labels cannot be told by nearness, the parity of bits say, and augmentation moves rows away
from their likes. A net that answers right on held-out rows is taken as proof that labels are fine.
## What to try
Shuffle rows and labels with one permutation; sort the files of both by the same key (`image_10`
comes before `image_2`); pair by an identifier, not by position. Show ten rows beside their labels.
## Sources
Stack Overflow 40467990 and 41864333.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from torchdx.record.model import Json, Record
from torchdx.rules.base import Answer, Evidence, Excluded, Finding, Prescription, rule
from torchdx.rules.data.learned_rows import Learned, ended, gain, learned

# How far the neighbours' agreement has come from chance to all of them (numbers: correlation).
# Sick: 0.002 and 0.043 (some of the labels right). Healthy: 0.24 at least, where one label in ten
# is a yes and many rows are alike; 0.35 at least but for that.
APART = 0.1
# The same of rows that prove the contrary: those judged, or labels moved.
TOGETHER = 0.3
# Of rows that came again, the share with another label. Healthy: 0 in 142 tables of numbers with
# classes; 0.62 and 0.84 with values of Q-learning. Sick: 0.90, where chance gives 0.90.
CONFLICTS = 0.3
AGAIN = 0.05  # of the rows come again: fewer are blank ones, equal by chance. Sick: 0.17
# Difference of judged and learned rows, of mean over deviation and of deviations. Sick: 0.02. Where
# augmentation tore the learned rows apart: 0.4.
MOVED = 0.15
# Median distance to the nearest row over that between any two. Real data, 4 to 784 columns: 0.10 to
# 0.52. Independent columns, where being near means nothing: 0.55 with 20 columns, 0.8 with 64.
GROUPED = 0.53
# How far held-out accuracy came from the commonest label to all right. With labels that partly fit,
# 0.14 (the best of six passes); healthy nets: 0.5 at least.
LEARNED, CHANCE = 0.3, 0.15
ENOUGH = 200  # rows compared: agreement by chance then varies by 0.01


@dataclass(frozen=True)
class _Proof:
    """What shows that nearness could have told the labels, and did not."""

    text: str
    evidence: Evidence
    strong: bool


@rule("D04", "misaligned-labels", silences="D05 D06 R03 A08 O01 O02 O17 A13")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the first table whose labels say nothing of its rows."""
    for table in learned(record):
        near = table.neighbours
        if not near or near["rows"] < ENOUGH or _fit(near) > APART or _has_learned(table):
            continue
        proof = _proof(table)
        if proof is not None:
            yield _finding(table, proof)
            return


def _fit(near: Json, key: str = "agreement") -> float:
    """0 when neighbours' labels are as if dealt out, 1 when they are always the row's own."""
    return float(near[key]) if near["numbers"] else gain(near[key], near["chance"])


def _has_learned(table: Learned) -> bool:
    """Whether answers on rows that it did not learn from are better than a guess."""
    best = max(table.held_out, default=None)
    return best is not None and table.base is not None and gain(best, table.base) > LEARNED


def _proof(table: Learned) -> _Proof | None:
    near, conflicts = table.neighbours, table.inputs.get("conflicts")
    again = 1 - table.inputs["distinct"] / table.inputs["rows"]
    moved = _fit(near, "shifted")
    if moved > TOGETHER:
        text = f"moved by {abs(near['shift'])} they agree in {near['shifted']:.0%}"
        seen = Evidence("agreement when the labels are moved", near["shifted"], near["chance"])
        return _Proof(text, seen, strong=True)
    moving = near["numbers"]  # values that are learned from their own answers change by themselves
    if conflicts is not None and not moving and conflicts > CONFLICTS and again > AGAIN:
        text = f"{conflicts:.0%} of the rows that came again had another label than before"
        return _Proof(
            text, Evidence("rows with changing labels", round(conflicts, 3), 0.0), strong=True
        )
    return _contrast(table) or _at_chance(table)


def _contrast(table: Learned) -> _Proof | None:
    """Rows that the model is judged on, which do agree."""
    best = _best_judged(table)
    if best is None or _fit(best) < TOGETHER or not _alike(table):
        return None
    text = f"of the rows that it is judged on, {best['agreement']:.0%} of the neighbours agree"
    seen = Evidence("agreement of judged rows", round(best["agreement"], 3), best["chance"])
    return _Proof(text, seen, strong=True)


def _best_judged(table: Learned) -> Json | None:
    judged = [near for near in table.judged("neighbours") if near["rows"] >= ENOUGH]
    return max(judged, key=_fit, default=None)


def _alike(table: Learned) -> bool:
    """Whether judged rows are as the learned ones: no augmentation moves these from their likes."""
    facts = table.inputs
    return any(
        abs(judged["mean"] - facts["mean"]) <= MOVED * facts["std"]
        and abs(judged["std"] / facts["std"] - 1) <= MOVED
        for judged in table.judged("inputs")
        if facts["std"] and judged["shape"] == facts["shape"]
    )


def _at_chance(table: Learned) -> _Proof | None:
    judged, best, base = _best_judged(table), max(table.held_out, default=None), table.base
    if best is None or base is None or table.neighbours.get("closest", 1.0) > GROUPED:
        return None
    if judged is not None and _fit(judged) > APART:  # these labels fit: the learned rows were moved
        return None
    if gain(best, base) > CHANCE:
        return None
    text = f"on held-out rows the model was right in {best:.1%} at best"
    return _Proof(
        text, Evidence("best held-out accuracy", round(best, 3), round(base, 3)), strong=False
    )


def _finding(table: Learned, proof: _Proof) -> Finding:
    near = table.neighbours
    if near["numbers"]:
        text = f"targets do not go with their inputs: of {near['rows']} rows, the correlation with "
        text += f"the nearest neighbours' mean is {near['agreement']:.2f}; {proof.text}"
    else:
        text = f"labels do not go with their inputs: of {near['rows']} rows, the nearest "
        text += f"neighbours have the same label in {near['agreement']:.1%}, by chance it would be "
        text += f"{near['chance']:.1%}; {proof.text}"
    return Finding(
        text=text,
        line=table.loss_line,
        place="labels",
        severity="suspicion",
        confidence="strong" if proof.strong else "weak",
        evidence=(
            Evidence("agreement with neighbours", round(near["agreement"], 3), near["chance"]),
            proof.evidence,
        ),
        excluded=(
            Excluded("D03", "different rows", table.inputs["distinct"], 1),
            *_not_a_matter_of_learning(table),
        ),
        prescriptions=(
            Prescription("pair", "shuffle and sort rows and labels together, by one index"),
        ),
        confirm="ten rows of one batch, looked at beside their labels",
    )


def _not_a_matter_of_learning(table: Learned) -> tuple[Excluded, ...]:
    right = ended(table.signal("prediction.accuracy"))
    what = "accuracy in training, with labels that rows do not tell"
    return () if right is None else (Excluded("O02", what, round(right, 3)),)
