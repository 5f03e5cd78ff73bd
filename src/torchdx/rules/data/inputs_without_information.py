"""inputs-without-information (D03): every row that the model is given is the same.

## What is seen
Of hundreds of rows all are equal, element for element, while their labels differ; what the first
layer makes of them does not differ from row to row either.
## Why the net does not learn
The answer can only be one for all rows. The best one is the share of each label (or their mean),
and the loss stays where that puts it: at the entropy of the labels, or at their variance.
## When this is wrong
A net that is asked for one thing only may well be given one fixed input (an image prior, a table of
parameters as a net): there its targets are the same each time, and nothing is told.
## What to try
Print two rows just before the model's call, and go back from there: a file read under a wrong key,
words of which none is in the vocabulary, a column standardised by itself, a crop off the image.
## Sources
TheDeepChecker (Ben Braiek & Khomh 2023), test with features set to zero.
"""

from collections.abc import Iterator

from torchdx.record.model import Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule
from torchdx.rules.data.learned_rows import Learned, begun, learned

ENOUGH = 32  # rows: that so many different ones come out equal is no accident of a small batch
# Deviation over rows of what the first layer puts out, over its size. Equal rows: 1.3e-7 at most,
# which is the rounding of float32. Rows that differ: 0.09 at least in 271 of 272 healthy tables.
SAME = 1e-5
_DIFFERENT = 2  # labels


@rule(
    "D03",
    "inputs-without-information",
    silences="O01 O02 O17 A02 A03 A04 A06 A08 A13 A14 D02 D04 D05 D06 D09 D10 L19",
)
def check(record: Record) -> Iterator[Answer]:
    """One finding for the first table of rows that are all one."""
    for table in learned(record):
        if _all_equal(table) and _labels_differ(table) and _answers_do_not(table):
            yield _finding(table)
            return


def _all_equal(table: Learned) -> bool:
    return bool(table.inputs["distinct"] == 1 and table.inputs["rows"] >= ENOUGH)


def _labels_differ(table: Learned) -> bool:
    return bool(table.targets.get("distinct", 0) >= _DIFFERENT)


def _answers_do_not(table: Learned) -> bool:
    """What the first layer makes of the rows; without a measure the rows themselves must do."""
    spread = begun(table.record.series("row.spread", table.first))
    return spread is None or spread <= SAME


def _finding(table: Learned) -> Finding:
    rows, low, high = table.inputs["rows"], table.inputs["min"], table.inputs["max"]
    what = f"{low:g} throughout" if low == high else f"between {low:.3g} and {high:.3g}"
    labels = table.targets["distinct"]
    return Finding(
        text=f"all {rows} rows that the model learned from are the same ({what}), though their "
        f"targets take {labels} different values: nothing in the input tells them apart",
        line=table.line,
        place="inputs",
        evidence=(
            Evidence("different rows", table.inputs["distinct"], rows),
            Evidence("different targets", labels, 1),
        ),
        prescriptions=(Prescription("inputs", "look at two rows just before the model is called"),),
    )
