"""target-leak (D11): a column of the inputs is made from the label.

## What is seen
Among the columns that the model learns from there is one that the label determines: constant
within each class, or, where the label is a number, never turning as the label rises. The other
columns are not like that, and tell the label less well.
## Why the net does not learn
It learns to read the label off its inputs. The scores are excellent as long as the column is there;
when the model is used, the label is not known, and neither is the column.
## When this is wrong
A true feature can be as good as that in toy data, and in tasks where a single yes or no decides.
When it is known before the label is, all is well. Columns that only hint at the label (known too
late, or with noise) cannot be told from good features, and are passed over.
## What to try
Leave the column out. Where it was made for a stratified split, drop it together with the target.
## Sources
deepchecks, "feature label correlation"; Kaufman et al. 2012 (doi 10.1145/2382577.2382579), leakage
in data mining; Kapoor & Narayanan 2023.
"""

from collections.abc import Iterator
from typing import Any

from torchdx.record.model import Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule
from torchdx.rules.data.learned_rows import Learned, learned

# Score of the best of the other columns. Beside a leak: 0.57 (diabetes), 0.91 (breast cancer). When
# it is higher, the classes are drawn so that every column tells them.
NEXT = 0.98
MOST = 0.5  # of the varied columns: a label in one-hot form fills several, patterns fill all


@rule("D11", "target-leak")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the first table with such a column."""
    for table in learned(record):
        told = table.neighbours.get("told")
        if told and told["count"] and _apart(told):
            yield _finding(table, told)
            return


def _apart(told: dict[str, Any]) -> bool:
    """Whether the other columns are of another kind."""
    return bool(told["count"] <= MOST * told["of"] and told["next"] < NEXT)


def _finding(table: Learned, told: dict[str, Any]) -> Finding:
    columns = ", ".join(map(str, told["columns"]))
    one = told["count"] == 1
    rows = table.neighbours["rows"]
    how = (
        "never turns as the target rises"
        if table.neighbours["numbers"]
        else "has one value in each class"
    )
    return Finding(
        text=f"column{'' if one else 's'} {columns} of the inputs (counted from 0) follow"
        f"{'s' if one else ''} from the label: over {rows} rows {'it' if one else 'each'} {how}; "
        f"the best of the other columns scores {told['next']:.2f}",
        line=table.line,
        place=f"column {columns}",
        severity="suspicion",
        confidence="strong",
        evidence=(
            Evidence("columns that follow from the label", told["count"], 0),
            Evidence("best score of another column", told["next"], NEXT),
        ),
        prescriptions=(
            Prescription("drop_column", "leave the column out of the inputs", where=columns),
        ),
        confirm="whether the column is known before the label is",
    )
