"""zero-grad-before-step (O05): gradients are cleared after backward, before the step uses them.

## What is seen
At every step looked at, all gradients of the optimizer were gone (or zero), and in the commonest
order of events a `zero_grad` stands between the last `backward` and the step.
## Why the net does not learn
The step finds no gradient and changes nothing: the loss stays where it began.
## When this is wrong
Never as a fact.
## What to try
Move `zero_grad` before `backward`, or behind `step`.
## Sources
PyTorch forum 130518, 12099; `torch.optim`, "Taking an optimization step".
"""

from collections.abc import Iterator

from torchdx.graph.model import Line
from torchdx.record.model import Optimizer, Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule


@rule("O05", "zero-grad-before-step")
def check(record: Record) -> Iterator[Answer]:
    """One finding for each optimizer that never sees a gradient for this reason."""
    for optimizer in record.optimizers.values():
        looks = [look for look in record.looks_of(optimizer.id) if look.parameters]
        if not looks or any(look.none + look.zero < look.parameters for look in looks):
            continue
        line, cleared = _cleared_last(record, optimizer)
        if cleared:
            yield _finding(optimizer, line, len(looks), looks[-1].parameters)


def _cleared_last(record: Record, optimizer: Optimizer) -> tuple[Line | None, bool]:
    """Whether, most often, gradients are cleared after the last backward, and where."""
    shapes = record.shapes_of(optimizer.id)
    events = shapes[0][0].events if shapes else ()
    last = max((i for i, event in enumerate(events) if event[0] == "backward"), default=None)
    for kind, line, about in () if last is None else events[last + 1 :]:
        if kind == "zero" and about in {0, optimizer.id}:
            return line, True
    return None, False


def _finding(optimizer: Optimizer, line: Line | None, looks: int, held: int) -> Finding:
    return Finding(
        text=f"zero_grad runs between backward and step: at all {looks} steps looked at, none of "
        f"the {held} parameters of this {optimizer.cls} had a gradient left",
        line=line or optimizer.line,
        place=f"optimizer {optimizer.id}",
        evidence=(Evidence("parameters with a gradient when the optimizer stepped", 0, held),),
        prescriptions=(
            Prescription(
                "zero_grad",
                "move `zero_grad()` before `loss.backward()`",
                where=f"optimizer {optimizer.id}",
            ),
        ),
    )
