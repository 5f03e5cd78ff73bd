"""output-range-too-narrow (L13): the last function cannot reach the targets.

## What is seen
A squared or Huber error is fed by a sigmoid, a tanh or a ReLU, and targets lie outside what that
function can put out by more than a tenth of their deviation.
## Why the net does not learn
Rows whose targets are out of reach keep an error, and near the bound the function's gradient
vanishes: the scores run away without gaining anything.
## When this is wrong
A few outliers beyond the bound cost little; a tenth of a deviation lets rounding and padding pass.
## What to try
End the model with its last affine layer, or scale the targets into the function's range.
## Sources
Stack Overflow 48251943, 48221692, 60801900, 62313327.
"""

from collections.abc import Iterator

from torchdx.graph.model import Node
from torchdx.record.model import Record
from torchdx.rules.asked import Asked, asked
from torchdx.rules.base import Answer, Evidence, Finding, rule
from torchdx.rules.loss.once import Once, left_out, once

RANGES = {
    "Sigmoid": (0.0, 1.0),
    "Tanh": (-1.0, 1.0),
    "Relu": (0.0, float("inf")),
    "Softplus": (0.0, float("inf")),
    "Softmax": (0.0, 1.0),
    "Hardtanh": (-1.0, 1.0),
}
BEYOND = 0.1  # deviations of the targets; rounding and overshooting filters stay below


@rule("L13", "output-range-too-narrow", silences="A02 A13 O02 A03 A08")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the first loss of this kind."""
    for loss in asked(record):
        last = _last(loss)
        if loss.facts["loss"] != "values" or last is None or last.op not in RANGES:
            continue
        low, high = RANGES[last.op]
        slack = BEYOND * loss.spread
        if loss.facts["min"] < low - slack or loss.facts["max"] > high + slack:
            yield _finding(loss, last, (low, high), once(record, last))
            return


def _last(loss: Asked) -> Node | None:
    return None if loss.head is None else loss.graph.source(loss.graph.input(loss.head, 0))


def _finding(loss: Asked, last: Node, reach: tuple[float, float], seen: Once) -> Finding:
    low, high = loss.facts["min"], loss.facts["max"]
    name = last.op.lower()
    return Finding(
        text=f"the last function is a {name}, whose outputs lie in {reach[0]:g} to {reach[1]:g}, "
        f"but targets run from {low:.3g} to {high:.3g}",
        line=last.line or loss.line,
        place="loss",
        evidence=(
            Evidence("least target", float(low), reach[0]),
            Evidence("greatest target", float(high), reach[1]),
            Evidence("deviation of the targets", loss.spread),
        ),
        prescriptions=(left_out(last.op, name, seen),),
    )
