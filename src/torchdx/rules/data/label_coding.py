"""label-coding (D07): labels are numbered otherwise than the loss reads them.

## What is seen
A binary cross-entropy is given whole numbers outside 0 to 1 (2 and 4, 1 and 2, -1 and 1). Or labels
are shifted against the outputs: the code just beyond one end of the classes is passed over by
`ignore_index`, about as often as there are rows of a class, and the output at the other end is
never asked for.
## Why the net does not learn
A binary cross-entropy has no minimum for a target above 1: the more certain the yes, the lower the
loss, below 0 and without end, whatever the input. With shifted labels one class is not learned from
at all, and every answer is one off.
## When this is wrong
Targets a little beyond 0 and 1 are smoothing, and are passed over. Words that never come as a
target, padding that is ignored, classes kept for later: an output that is not asked for is no
fault by itself. Targets that take many values are no codes: that is another sickness.
## What to try
Subtract the smallest code or map the codes by a dictionary, in one place, and check
`y.min() == 0` and `y.max() == classes - 1` before training.
## Sources
TheDeepChecker and defects4ml, "labels out of range"; `torch.nn.BCEWithLogitsLoss`: targets are
"numbers between 0 and 1".
"""

from collections.abc import Iterator
from dataclasses import replace

from torchdx.record.model import Json, Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule
from torchdx.rules.data.learned_rows import loss_line

CODES = 20  # different targets of a binary loss at most: more are quantities
# Rows of the rest that must have come before a class counts as never asked for: had it been as
# common as the rarest other, 30 rows fewer than expected have a chance of e^-30.
EXPECTED = 30
# Rows passed over, over the rows of a mean class. A class that is passed over has about its size
# (sick: 1.0); padding and masked words are most of all rows, or few.
ALIKE = (1 / 3, 3.0)


@rule("D07", "label-coding", silences="L12 O01 O17 A07 D06 A13 M01 P04")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the first loss whose targets are coded otherwise."""
    latest = {event.facts["graph"]: event.facts for event in record.of("targets")}
    for graph, asked in latest.items():
        finding = _beyond(asked) if asked["loss"] == "units" else _shifted(asked)
        if finding is not None:
            yield replace(finding, line=loss_line(record, graph))
            return


def _beyond(asked: Json) -> Finding | None:
    """Targets of a binary cross-entropy that are no shares."""
    low, high = asked["min"], asked["max"]
    codes = asked["whole"] and asked["distinct"] <= CODES  # whole: smoothed labels go up to 1.2
    if not codes or (low >= 0 and high <= 1):
        return None
    text = f"the binary cross-entropy was given targets from {low:g} to {high:g} "
    text += f"({asked['distinct']} different ones): outside 0 to 1 it falls without end"
    return Finding(
        text=text,
        place="labels",
        evidence=(
            Evidence("least target", low, 0.0),
            Evidence("greatest target", high, 1.0),
        ),
        prescriptions=(
            Prescription(
                "recode",
                "map the two codes to 0 and 1",
                to=f"{low:g}:0, {high:g}:1" if asked["distinct"] == 2 else "",  # noqa: PLR2004
            ),
        ),
    )


def _shifted(asked: Json) -> Finding | None:
    """One end of the classes ignored, the other never asked for."""
    counts, ignored = asked["counts"], asked.get("ignored", 0)
    if asked["loss"] != "classes" or not ignored or len(counts) != asked["classes"]:
        return None
    code = asked["ignore_index"]
    unasked = [number for number, count in enumerate(counts) if not count]
    end = {-1: len(counts) - 1, len(counts): 0}.get(code)
    if end is None or unasked != [end]:
        return None
    others = [count for number, count in enumerate(counts) if number != end]
    mean = sum(others) / len(others)
    if min(others) < EXPECTED or not ALIKE[0] <= ignored / mean <= ALIKE[1]:
        return None
    share = ignored / (ignored + sum(others))
    text = (
        f"labels are shifted by one: {ignored} rows ({share:.0%}) were passed over because their "
    )
    text += f"label is {code} (`ignore_index`), as many as a class has, and output {end} of "
    text += f"{len(counts)} was never asked for"
    return Finding(
        text=text,
        place="labels",
        severity="suspicion",
        confidence="strong",
        evidence=(
            Evidence("rows passed over", ignored, round(mean)),
            Evidence(f"rows that asked for output {end}", 0, round(mean)),
        ),
        prescriptions=(
            Prescription(
                "recode",
                "number the classes from 0, and ignore none of them",
                to="+1" if code < 0 else "-1",
            ),
        ),
        confirm="whether a row that is passed over has a label in the data",
    )
