"""wrong-net-stepped (O16): one optimizer steps where another was meant.

## What is seen
Two optimizers. The gradients of one are cleared in every round and backward reaches its
parameters, but it never steps; the other steps in its place: after a round in which it was not
cleared itself, or a second time without a new backward.
## Why the net does not learn
The parameters of the first keep their initial values. The other one's are stepped once more, by
gradients that were meant for the first net, or left over.
## When this is wrong
An optimizer that waits for a later phase is not cleared in each round; clearing both nets before
every backward is common, and then the waiting one is told only if it never steps at all. Wrappers
(SAM, Lookahead) hold the parameters of the optimizer that steps for them: what another one steps
is not waiting.
## What to try
Step the optimizer whose gradients were just computed.
## Sources
PyTorch forum 60855, 87348.
"""

from collections.abc import Iterator

from torchdx.graph.model import Line
from torchdx.record.model import Optimizer, Record, StepShape
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule

ROUNDS = 20  # in which it was cleared and did not step (own choice: a warm-up may be shorter)


@rule("O16", "wrong-net-stepped", silences="O03 O04")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the first optimizer that is cleared and never steps."""
    for optimizer in record.optimizers.values():
        waiting = _waiting(record, optimizer)
        if not waiting:
            continue
        cleared, line, other = _cleared(record, optimizer)
        if (
            cleared >= ROUNDS
            and other is not None
            and _in_its_place(record, idle=optimizer, other=other)
        ):
            yield _finding(optimizer, other, cleared, line, len(waiting))
            return


def _waiting(record: Record, optimizer: Optimizer) -> set[str]:
    """What gradients reach and only this optimizer could step, if it never did."""
    if optimizer.steps:
        return set()
    stepped = {name for o in record.optimizers.values() if o.steps for name in o.parameters}
    return record.reached.intersection(optimizer.parameters) - stepped


def _cleared(record: Record, idle: Optimizer) -> tuple[int, Line | None, Optimizer | None]:
    """Steps of another before which this one was cleared; the line of that step; the other."""
    count, line, other = 0, None, None
    for shape in record.shapes.values():
        if _clears(shape, idle.id):
            count += record.shape_counts.get(shape.id, 0)
            line = line or shape.events[-1][1]
            other = other or record.optimizers.get(shape.optimizer)
    return count, line, other


def _in_its_place(record: Record, idle: Optimizer, other: Optimizer) -> bool:
    """Whether the other took a step that was not its own."""
    return any(
        shape.optimizer == other.id
        and (
            shape.count("backward") == 0
            or (_clears(shape, idle.id) and not _clears(shape, other.id))
        )
        for shape in record.shapes.values()
    )


def _clears(shape: StepShape, optimizer: int) -> bool:
    return any(kind == "zero" and about == optimizer for kind, _, about in shape.events)


def _finding(
    idle: Optimizer, other: Optimizer, cleared: int, line: Line | None, waiting: int
) -> Finding:
    return Finding(
        text=f"the gradients of {idle.cls} (optimizer {idle.id}, {waiting} "
        f"parameters) are cleared in {cleared} rounds and computed anew, but the step is that of "
        f"optimizer {other.id}: optimizer {idle.id} never stepped",
        line=line or idle.line,
        place=f"optimizer {idle.id}",
        evidence=(
            Evidence(f"steps of optimizer {idle.id}", 0, cleared),
            Evidence(f"steps of optimizer {other.id}", other.steps),
        ),
        prescriptions=(
            Prescription("step", f"step optimizer {idle.id} there", where=f"optimizer {idle.id}"),
        ),
    )
