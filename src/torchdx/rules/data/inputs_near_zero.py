"""inputs-near-zero (D02): the inputs are so small that the first bias drowns them.

## What is seen
The inputs' root mean square is far below one, and what the first layer puts out hardly differs
from row to row, although the rows themselves do: its bias makes nearly all of it.
## Why the net does not learn
Layers are made for inputs of about unit size: weights and biases begin equally large. With inputs
of 0.01 the bias is a hundred times what the input brings, the gradient of the first weights is as
small as the inputs, and for a long time the net can only learn how common the labels are.
## When this is wrong
Rows of unit length in many dimensions are small element by element and still tell rows apart; so
do small inputs into a layer without bias or into a norm. The first layer's output is judged, not
the inputs' size alone.
## What to try
Look for a division that is done twice: `/ 255` in the data set and again in the loop, or after
`ToTensor`, or of data that ends at 16. Standardise once, and print `x.std()`.
## Sources
TheDeepChecker (Ben Braiek & Khomh 2023), fault "double normalisation".
"""

from collections.abc import Iterator

from torchdx.record.model import Record
from torchdx.rules.base import Answer, Evidence, Excluded, Finding, Prescription, rule
from torchdx.rules.data.learned_rows import Learned, begun, learned
from torchdx.rules.series import fallen

# Root mean square of the inputs. Healthy, 283 tables: 0.20 at least, next 0.33. Sick: 0.002 and
# 0.030. Among inputs smaller than this, the next limit decides.
SMALL = 0.1
# Deviation over rows of what the first layer puts out, over its size, in the first steps. Sick:
# 0.035 and 0.051. Healthy, with inputs of any size: 0.40 at least but in two programs of 272 (a
# critic of its own noise 0.09). Other sick nets (weights too small, a part cut off): 0.12.
DROWNED = 0.1
# Deviation of the inputs over their size: they do differ. Sick: 0.77.
OWN = 0.3
# The loss at the end over that at first. Nets that learned in spite of it are left alone: healthy
# nets end at 0.25 in the median, sick ones at 0.63 and 1.0.
LEARNED = 0.5


@rule("D02", "inputs-near-zero", silences="O02 A02 A03 A06 A08 A13 D06")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the first table of rows that the first layer cannot tell apart."""
    for table in learned(record):
        spread = begun(record.series("row.spread", table.first))
        if not table.floats or not table.inputs["std"] or spread is None:
            continue
        if table.size < SMALL and spread < DROWNED and table.inputs["std"] > OWN * table.size:
            yield _finding(table, spread)
            return


def _finding(table: Learned, spread: float) -> Finding:
    left = fallen(table.record)
    harmed = left is not None and left > LEARNED
    own = table.inputs["std"] / table.size
    text = f"the inputs are tiny (root mean square {table.size:.2g}): rows differ by {own:.0%} of "
    text += f"their size, but only by {spread:.1%} after `{table.first}`, where the bias makes the "
    text += "rest"
    if harmed:
        text += f"; the loss is at {left:.0%} of what it was at first"
    return Finding(
        text=text,
        line=table.line,
        place="inputs",
        severity="fault" if harmed else "note",
        confidence="strong" if harmed else "",
        evidence=(
            Evidence("root mean square of the inputs", round(table.size, 5), SMALL),
            Evidence("difference of rows after the first layer", round(spread, 4), DROWNED),
        ),
        excluded=(
            Excluded("D03", "different rows", table.inputs["distinct"], 1),
            Excluded("A06", "root mean square of the inputs", round(table.size, 5), 1.0),
        ),
        prescriptions=(
            Prescription("scale_inputs", "scale the inputs once, to a deviation of about 1"),
        ),
    )
