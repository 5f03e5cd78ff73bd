"""integer-wrap (D18): the inputs have gone through too small a whole-number type.

## What is seen
The inputs lie on 200 to 256 equal steps, as bytes do, and either most columns fall into two groups
at the two ends with nothing between, small numbers and small negative ones that wrapped; or
neighbouring elements of a row are nearest each other only after the steps are multiplied by some
number modulo 256, which undoes a multiplication that wrapped.
## Why the net does not learn
Arithmetic on `uint8` goes round: 3 - 5 is 254, 100 * 5 is 244. Values that were near each other are
then at opposite ends, and brightness no longer means anything.
## When this is wrong
Codes that only use both ends of a byte (0 to 9 and 250 to 255 as flags) look like the first case.
A sum that wraps leaves no such trace, and is not found.
## What to try
Cast to a float (or `int16`) before any arithmetic: `images.astype(np.float32)`.
## Sources
Stack Overflow 48594888; NumPy's user guide, "data types: overflow errors".
"""

from collections.abc import Iterator

from torchdx.record.model import Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule
from torchdx.rules.data.learned_rows import Learned, learned

# Share of the varied columns that are torn. Differences of digits in `uint8`: 0.69 to 0.72; the
# same in `int16`, and all else in the corpora: at most 0.01.
TORN = 0.3
COLUMNS = 4  # torn ones at least
# Smoothness after the multiplication over that before. Wrapped: 3.2 (times five), 2.1 (three), 1.7
# (seven). Digits, MNIST, Fashion-MNIST, inverted, stretched or brightened: 1, no factor is better.
BETTER = 1.3
SMOOTH = 0.2  # mean cosine of the differences; independent elements have 0
_WRAP = 256


@rule("D18", "integer-wrap", silences="A08 O02")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the first table whose rows have wrapped."""
    for table in learned(record):
        torn = table.inputs.get("torn", 0.0)
        if torn >= TORN and torn * table.inputs["columns"] >= COLUMNS:
            yield _torn(table, torn)
            return
        modulo = table.inputs.get("modulo")
        if modulo and modulo["factor"] > 1 and modulo["smooth"] >= SMOOTH:
            plain = max(modulo["plain"], 1e-6)
            if modulo["factor"] % 2 and modulo["smooth"] >= BETTER * plain:
                yield _multiplied(table, modulo["factor"], modulo["smooth"], modulo["plain"])
                return


def _torn(table: Learned, torn: float) -> Finding:
    return _finding(
        table,
        f"{torn:.0%} of the input's columns hold small whole numbers and numbers just below 256, "
        f"and nothing between: differences below zero have wrapped in 8 bits",
        Evidence("share of the columns in two groups at the ends of 256 steps", torn, TORN),
    )


def _multiplied(table: Learned, factor: int, smooth: float, plain: float) -> Finding:
    inverse = pow(factor, -1, _WRAP)
    times = min(inverse, _WRAP - inverse)
    return _finding(
        table,
        f"neighbouring elements of the inputs are near each other only modulo 256 and after a "
        f"division by {times}: they were multiplied by {times} in 8 bits, and wrapped",
        Evidence("mean cosine of neighbours' differences, undone and as it is", smooth, plain),
    )


def _finding(table: Learned, text: str, evidence: Evidence) -> Finding:
    return Finding(
        text=text,
        line=table.line,
        place="inputs",
        severity="suspicion",
        confidence="strong",
        evidence=(evidence,),
        prescriptions=(
            Prescription("cast_first", "cast to float before the arithmetic", to="float32"),
        ),
        confirm="with the cast before the arithmetic, the inputs have other values",
    )
