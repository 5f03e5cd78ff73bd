"""nothing-trainable (O09): all that the optimizer holds is frozen.

## What is seen
At every step looked at, no parameter of the optimizer required a gradient, and no other optimizer
trained anything meanwhile. Or `backward` failed (or an optimizer could not be made) while no
parameter of any model required a gradient.
## Why the net does not learn
A frozen parameter gets no gradient, and an optimizer skips parameters without one. Its steps change
nothing; only running statistics of normalisation layers may drift.
## When this is wrong
An optimizer for layers that are unfrozen later, in a run that ended before: while others train,
nothing is said.
## What to try
Freeze only what is to stay, and give the optimizer the parameters that are to learn.
## Sources
PyTorch forum 84911; `torch.nn.Module.requires_grad_`.
"""

from collections.abc import Iterator

from torchdx.graph.model import Line
from torchdx.record.model import Look, Optimizer, Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule

STEPS = 2  # looks at one optimizer before it is told


@rule("O09", "nothing-trainable", silences="T01 O06")
def check(record: Record) -> Iterator[Answer]:
    """Optimizers that hold frozen parameters only, else models without any other."""
    frozen = [o for o in record.optimizers.values() if _always_frozen(record, o)]
    for optimizer in frozen:
        yield _finding(
            f"none of the {len(optimizer.parameters)} parameters of this {optimizer.cls} requires "
            f"a gradient: its {optimizer.steps} steps changed nothing",
            optimizer.line,
            f"optimizer {optimizer.id}",
            len(optimizer.parameters),
        )
    if not frozen:
        yield from _failed(record)


def _always_frozen(record: Record, optimizer: Optimizer) -> bool:
    looks = record.looks_of(optimizer.id)
    if len(looks) < STEPS or any(look.parameters for look in looks):
        return False
    return not any(_between(record, look, looks) for look in record.looks)


def _between(record: Record, look: Look, own: list[Look]) -> bool:
    """Whether another optimizer trained something while this one stepped."""
    if look.optimizer == own[0].optimizer or not look.parameters:
        return False
    at = record.looks.index(look)
    return record.looks.index(own[0]) < at < record.looks.index(own[-1])


def _failed(record: Record) -> Iterator[Answer]:
    """Nothing could be trained at all: the program ended with torch's error."""
    models = [model for model in record.models if model.parameters]
    events = [*record.of("backward-failed"), *record.of("optimizer-failed")]
    if not models or not events or record.steps or any(model.trainable for model in models):
        return
    count = sum(len(model.parameters) for model in models)
    made = next((o.line for o in record.optimizers.values()), None)
    yield _finding(
        f"none of the {count} parameters requires a gradient, so that there was nothing to train",
        made or events[0].line,
        "run",
        count,
    )


def _finding(text: str, line: Line | None, place: str, count: int) -> Finding:
    return Finding(
        text=text,
        line=line,
        place=place,
        evidence=(Evidence("parameters that require a gradient", 0, count),),
        prescriptions=(
            Prescription(
                "requires_grad",
                "call `requires_grad_(True)` on what is to learn, before the optimizer is made",
                where=place,
            ),
        ),
    )
