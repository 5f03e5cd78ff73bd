"""destructive-augmentation (D14): rows are altered until their labels cannot be seen in them.

## What is seen
The rows that the model learns from are made anew in each epoch, and differ in mean or spread from
those that it is judged on. Among the judged rows, neighbours share a label; among the learned ones
they do so much less. The loss stays far above that on the judged rows, or neither falls.
## Why the net does not learn
What tells the classes apart is turned, moved, cut or drowned. The net learns from rows that say
nothing, or learns something that the rows to come do not need.
## When this is wrong
Strong augmentation pays in long runs of large nets: there a training loss above the validation loss
is meant, and only a run with less of it can say (this is why the finding is weak then). Dropout
raises the training loss too: nets with dropout are judged by their rows alone. Labels that are
dealt out in training only lower the agreement as well, but leave the rows as they were.
## What to try
Halve the strength (degrees, shift, size of the erased part, noise) until the training loss nears
that on unaltered rows; look at twenty altered rows and name their labels yourself.
## Sources
Stack Overflow 63003693, 57275278; Cubuk et al. 2020, RandAugment (arXiv 1909.13719), figure 1: the
best strength grows with the size of net and data.
"""

from collections.abc import Iterator
from statistics import median
from typing import NamedTuple

from torchdx.record.model import Json, Record
from torchdx.rules.base import Answer, Evidence, Excluded, Finding, Prescription, rule
from torchdx.rules.data.judged_rows import Judged, judged
from torchdx.rules.data.learned_rows import Learned, learned

# Agreement of neighbours beyond chance, learned over judged rows. Augmentation that helps, or does
# no harm: 0.70 (mirrored, moved and cut garments) to 0.94; harmful: 0.04 and 0.65.
HIDDEN = 0.3  # below it, the rows alone are proof
LESS = 0.75  # below it, the loss must tell the same
# Training loss over that on judged rows, in the last quarter of the passes. Harmless: up to 1.4.
HIGHER = 1.65
MOVED = 5.0  # standard errors of one column's mean by which altered rows differ at least
TOLD = 0.2  # agreement of judged neighbours beyond chance, below which nearness says nothing
STRAYING = 0.2, 0.33  # labels that stray, among rows that are sure: the rule for noisy labels' own


class _Case(NamedTuple):
    table: Learned
    one: Judged
    agreement: float
    higher: float | None


@rule("D14", "destructive-augmentation", silences="A08 O02")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the first table of altered rows."""
    for case in _cases(record):
        if case.agreement < HIDDEN:
            yield _finding(case, "strong")
            return
        dropped = any("Dropout" in cls for model in record.models for cls in model.modules.values())
        if case.agreement < LESS and (case.higher or 0) >= HIGHER and not dropped:
            yield _finding(case, "weak")
            return


def _cases(record: Record) -> Iterator[_Case]:
    """Tables of rows made anew, each with a judged set that is not."""
    for table in learned(record):
        for one in judged(record):
            if one.model != table.model or not one.fresh or one.facts["columns"] < MOVED:
                continue
            near = [n for n in table.judged("neighbours") if n["set"] == one.facts["set"]]
            agreement = _agreement(table.neighbours, near[0]) if near else None
            if agreement is not None and (one.facts["recurring"] or 0) > HIDDEN:
                yield _Case(table, one, agreement, _higher(one))


def _agreement(own: Json, other: Json) -> float | None:
    """Agreement beyond chance of learned over judged rows, None where it says nothing."""
    if not own or own["numbers"] or other["numbers"]:
        return None
    judged_beyond = other["agreement"] - other["chance"]
    if judged_beyond < TOLD:
        return None
    if (own.get("stray") or 0) >= STRAYING[0] and own.get("sure", 0) >= STRAYING[1]:
        return None
    return float((own["agreement"] - own["chance"]) / judged_beyond)


def _higher(one: Judged) -> float | None:
    """Training loss over the loss on judged rows, late in the run."""
    if not one.comparable:
        return None
    ratios = [learned / loss for loss, learned in one.losses if loss > 0]
    return median(ratios[-max(2, len(ratios) // 4) :]) if len(ratios) > 1 else None


def _finding(case: _Case, confidence: str) -> Finding:
    facts = case.one.facts
    higher = "" if case.higher is None else f"; the training loss is {case.higher:.2g} times theirs"
    text = (
        f"rows are altered anew in each epoch ({facts['repeated']} of {facts['expected']:.0f} came "
        f"again), and their neighbours share a label {case.agreement:.0%} as often, beyond chance, "
        f"as those of the judged rows{higher}"
    )
    evidence = [
        Evidence("agreement of neighbours beyond chance over that of judged rows", case.agreement),
        Evidence("learned rows that came again", facts["repeated"], round(facts["expected"], 1)),
    ]
    if case.higher is not None:
        evidence.append(Evidence("training loss over that of the judged rows", case.higher, HIGHER))
    labels = "labels that stray among sure neighbours"
    stray = case.table.neighbours.get("stray")
    return Finding(
        text=text,
        line=case.table.line,
        place=case.table.model,
        severity="suspicion",
        confidence="strong" if confidence == "strong" else "weak",
        evidence=tuple(evidence),
        excluded=(Excluded("D05", labels, stray or 0.0, STRAYING[0]),),
        prescriptions=(
            Prescription("weaken_augmentation", "halve the strength of the random transforms"),
        ),
        confirm="the same run with half the strength reaches a better validation loss",
    )
