"""non-finite-data (D16): NaN or infinity comes in with the data.

## What is seen
The loss or the gradient of a step is not finite, the weights still are, and the first tensor that
is not finite is the batch itself: inputs or targets that the data loader yielded, or a tensor
without gradient that an operation of the forward used. Or the program leaves out batches of a
training pass, and those that it leaves out hold NaN.
## Why the net does not learn
NaN passes through every layer: one number of one row makes the gradient of all weights NaN, and
with the next step the weights. What was learnt until then is lost.
## When this is wrong
Missing values that the program knows of and masks before they reach an operation do no harm and
are not told; masks of zeros and -inf are not data. If they are masked behind an operation, by
`torch.where` on the loss say, their gradient is NaN all the same, and that is told.
## What to try
Find the rows named; drop them or put the column's mean there, and check `torch.isfinite` once when
the data is loaded. A column that is NaN in all rows was mostly divided by a spread of 0.
## Sources
Stack Overflow 53640858 and 51835124; scikit-learn user guide, "Imputation of missing values".
"""

from collections.abc import Iterator
from typing import Any

from torchdx.record.model import Event, Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule
from torchdx.rules.first_nonfinite import FirstNonFinite

_FEW = 5  # columns that are named


@rule("D16", "non-finite-data")
def check(record: Record) -> Iterator[Answer]:
    """One finding when the first value that is not finite is data."""
    first = FirstNonFinite.of(record)
    if first is None or first.where != "data":
        skipped = record.of("skipped-data")
        if skipped:
            yield _skipped(skipped[-1])
        return
    data = first.facts["data"]
    text = f"{_rows(data)} of {_name(data)} hold {_what(data)}{_columns(data)}: "
    text += f"{first.became} {first.when}"
    if first.facts.get("hidden"):
        text += "; a mask hides them from the loss, but not from its gradient"
    yield Finding(
        text=text,
        line=first.line,
        place=_name(data),
        evidence=(
            Evidence("numbers that are NaN", data["nan"], 0),
            Evidence("numbers that are infinite", data["inf"], 0),
            Evidence("weights before the step", str(first.facts["weights"]), "finite"),
        ),
        prescriptions=(_cure(data),),
    )


def _skipped(event: Event) -> Finding:
    facts, data = event.facts, event.facts["data"]
    share = facts["bad"] / facts["looked"] * facts["skipped"] / facts["batches"]
    text = f"{facts['bad']} of {facts['batches']} batches hold {_what(data)} and were not learnt "
    text += f"from: {_rows(data)} in the first{_columns(data)}"
    return Finding(
        text=text,
        line=event.line,
        place="batch",
        severity="suspicion",
        confidence="strong",
        confirm="how many rows of the data set hold them",
        evidence=(
            Evidence("share of the batches that is lost", round(share, 3), 0.0),
            Evidence("rows of the first such batch", data["rows"], data["of_rows"]),
        ),
        prescriptions=(_cure(data),),
    )


def _name(data: dict[str, Any]) -> str:
    if data["source"] == "batch":
        ordinal = {"0": "the inputs", "1": "the second tensor"}
        return f"{ordinal.get(str(data['name']), 'a tensor')} of the batch"
    return f"`{data['name']}`" if data["name"] else "a tensor that goes into the model"


def _rows(data: dict[str, Any]) -> str:
    return f"{data['rows']} of {data['of_rows']} rows"


def _what(data: dict[str, Any]) -> str:
    if data["nan"] and data["inf"]:
        return "NaN and infinities"
    return "NaN" if data["nan"] else "infinities"


def _columns(data: dict[str, Any]) -> str:
    whole, some = data["whole_columns"], data["columns"]
    if data["of_columns"] == 1:
        return ""
    if whole and data["of_rows"] != 1:
        return f" (all rows in {_listed(whole)})"
    return f" ({_listed(some)})" if len(some) <= _FEW else ""


def _listed(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:_FEW])) + (", ..." if len(numbers) > _FEW else "")
    return f"column {shown}" if len(numbers) == 1 else f"columns {shown}"


def _cure(data: dict[str, Any]) -> Prescription:
    if data["whole_columns"] and data["of_rows"] != 1:
        text = "leave the column out, or do not divide by its spread where that is 0"
        return Prescription("drop_column", text, where=_listed(data["whole_columns"]))
    return Prescription("impute", "drop these rows, or fill them in, before training")
