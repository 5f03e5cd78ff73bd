"""rewrapped-loss (L17): the loss was made anew from a number and leads to no parameter.

## What is seen
`backward` is called on a tensor without history that is no parameter, and the value in it was
taken out of the graph before, as a scalar (`item()`, `numpy()`, `.data`, `detach()`), or the
program makes the loss itself with `torch.tensor(...)` or `Variable(...)`. No parameter is reached.
## Why the net does not learn
A new tensor knows nothing of how its number came about. With `requires_grad=True` backward runs
without complaint, fills the gradient of that one tensor, and leaves all others empty; the loss is
printed as ever and nothing moves.
## When this is wrong
Where only some passes end in such a tensor and others reach the parameters (a placeholder loss of 0
for an empty batch): that is passed over.
## What to try
Call `backward` on the tensor that the loss function returned; use `item()` for printing only.
## Sources
PyTorch forum 112135, 108533; `torch.tensor`: "this function always copies data", a leaf without
history.
"""

from collections.abc import Iterator

from torchdx.graph.model import Line
from torchdx.record.model import Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule
from torchdx.rules.loss.lost import Lost, left_as_scalar, lost_roots, remade, unreached


@rule("L17", "rewrapped-loss", silences="T01 T02 T03 L18")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the first lost root of which it can be shown."""
    for lost in lost_roots(record):
        line = remade(record, lost)
        if line is not None:
            yield _finding(record, lost, line)
            return


def _finding(record: Record, lost: Lost, line: Line) -> Finding:
    without = set(record.optimized) - record.reached
    for cut in left_as_scalar(record, lost):
        without |= unreached(record, cut)
    grew = lost.event.facts.get("needs_grad", True)
    end = "backward runs, but reaches none" if grew else "backward fails: it reaches none"
    return Finding(
        text="the tensor on which backward is called was made anew from a number that had left the "
        f"graph; {end} of the {len(without)} parameters",
        line=line,
        place="loss",
        evidence=(
            Evidence("parameters reached by backward", len(record.reached), len(without)),
            Evidence("line of backward", str(lost.event.line or "")),
        ),
        prescriptions=(
            Prescription(
                "keep_graph", "call backward on the tensor that the loss function returned"
            ),
        ),
    )
