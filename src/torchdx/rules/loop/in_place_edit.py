"""in-place-edit (T04): a value that backward needs was changed in place before it ran.

## What is seen
Backward failed because a tensor that an operation had kept was changed since ("modified by an
inplace operation"): which operation had kept it, at which line, and the line that changed it, where
it can be told, or the optimizer whose step moved the weight. Or nothing failed: the program changed
the tensor through `.data`, which autograd does not count, and backward used the new value.
## Why the net does not learn
The derivative of an operation is taken at the values that it worked on. Where they are gone,
autograd refuses; where it does not notice, every gradient below is that of another function.
## When this is wrong
Never where backward failed. A change through `.data` may be meant as a straight-through step; then
it is better written as `x + (f(x) - x).detach()`. Changes before the value is used, or after
backward, are not told.
## What to try
Write the result to a new tensor (`x = x + 1`, not `x += 1`; `torch.where` instead of `x[mask] = 0`;
`ReLU(inplace=False)`), and call `optimizer.step()` after every backward pass that uses the weights.
## Sources
PyTorch, "Autograd mechanics", in-place correctness checks; pytorch issue 5687; PyTorch forum
on "modified by an inplace operation" of GAN losses.
"""

from collections.abc import Iterator

from torchdx.graph.model import Line
from torchdx.record.model import Event, Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule


@rule("T04", "in-place-edit")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the first edit; a state carried over from an earlier step is T05's."""
    carried = {event.line for event in record.of("carried-graph")}
    failed = {event.line for event in record.of("backward-failed")}
    for event in record.of("in-place-edit"):
        if event.facts["silent"]:
            yield _silent(event, record.line(event.facts["used"]))
        elif not carried & failed:
            yield _refused(event, record.line(event.facts["used"]))
        return


def _refused(event: Event, used: Line | None) -> Finding:
    kept = f"{event.facts['op']}{_at(used)} keeps for backward"
    place = event.facts["place"]
    if event.facts["by_step"]:
        text = f"backward failed: the optimizer stepped and changed {place}, which {kept}"
        cure = Prescription("step_last", "step after all backward passes through these weights")
    else:
        changed = (
            f" changed by `{event.line.text}`" if event.line is not None else " changed in place"
        )
        text = f"backward failed: a value that {kept} was{changed}"
        cure = Prescription("out_of_place", "write the result to a new tensor")
    return Finding(
        text=text,
        line=event.line or used,
        place=place or "loss",
        evidence=(Evidence("operation that had kept the value", event.facts["op"]),),
        prescriptions=(cure,),
    )


def _silent(event: Event, used: Line | None) -> Finding:
    return Finding(
        text=f"a value that {event.facts['op']}{_at(used)} keeps for backward was changed through "
        "`.data` before backward ran: its gradient is that of other values than the loss",
        line=event.line or used,
        place=event.facts["place"] or "loss",
        severity="suspicion",
        confidence="strong",
        confirm="whether the gradient agrees with a finite difference of the loss",
        evidence=(Evidence("operation that had kept the value", event.facts["op"]),),
        prescriptions=(Prescription("out_of_place", "change a copy, with autograd watching"),),
    )


def _at(line: Line | None) -> str:
    return "" if line is None else f" (line {line.number})"
