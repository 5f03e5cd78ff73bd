"""stale-optimizer (O07): the optimizer holds the parameters of a model that is no longer trained.

## What is seen
No backward ever reached a parameter of this optimizer, at none of its steps did one have a
gradient, and gradients do reach parameters that no optimizer holds.
## Why the net does not learn
The optimizer was made for a model that was made anew afterwards (or copied, or moved into other
tensors). It steps the old one; the model that computes the loss never changes.
## When this is wrong
Never as a fact, where the whole loss graph is seen. Parts of it that are hidden (reentrant
checkpoints, compiled regions) keep the rule silent.
## What to try
Make the optimizer after the model, and again whenever the model is made anew.
## Sources
spro/practical-pytorch#9; pytorch/pytorch#14467; `torch.optim`, "Constructing it".
"""

from collections.abc import Iterator

from torchdx.record.model import Optimizer, Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, Unclear, rule

STEPS = 2  # a first step may come before the first backward (it makes the optimizer's state)


@rule("O07", "stale-optimizer", silences="O06")
def check(record: Record) -> Iterator[Answer]:
    """One finding for each optimizer that steps what nothing reaches."""
    for optimizer in record.optimizers.values():
        held = set(optimizer.parameters)
        homeless = any(name.startswith("(") for name in held)
        if optimizer.steps < STEPS or homeless or held & record.reached:
            continue
        looks = record.looks_of(optimizer.id)
        orphans = (record.reached & record.trainable) - record.optimized
        if not orphans or any(look.none < look.parameters or not look.parameters for look in looks):
            continue
        if record.opaque:
            yield Unclear(because=record.opaque)
            return
        yield _finding(optimizer, orphans)


def _finding(optimizer: Optimizer, orphans: set[str]) -> Finding:
    held = len(optimizer.parameters)
    return Finding(
        text=f"this {optimizer.cls} stepped {optimizer.steps} times, and no gradient ever reached "
        f"one of its {held} parameters; the {len(orphans)} parameters that the loss reaches are "
        "in no optimizer: the model was made anew after it",
        line=optimizer.line,
        place=f"optimizer {optimizer.id}",
        evidence=(
            Evidence("parameters of the optimizer that a backward reached", 0, held),
            Evidence("parameters reached that no optimizer holds", len(orphans), 0),
        ),
        prescriptions=(
            Prescription(
                "optimizer_parameters",
                "make the optimizer after the model that computes the loss",
                where=f"optimizer {optimizer.id}",
            ),
        ),
    )
