"""zero-grad-missing (O04): each step uses the gradients of all steps before it, too.

## What is seen
When the first backward after a step began, gradients of the step before were still there, and
nothing cleared them until the next step: neither `zero_grad` of the optimizer or of the model, nor
the program by setting them to None or zero.
## Why the net does not learn
`backward` adds to what is there. The step then follows the sum of all gradients since the start,
most of them taken at weights that are long gone: it acts like momentum that never fades, so that
steps grow and the loss swings.
## When this is wrong
Never as a fact: gradients kept over several backward passes of one step (accumulation) are cleared
after it.
## What to try
Call `optimizer.zero_grad()` once per step, before `backward`.
## Sources
Stack Overflow 60335387; PyTorch forum 29507; `torch.optim.Optimizer.zero_grad`.
"""

from collections.abc import Iterator

from torchdx.record.model import Optimizer, Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule

LOOKS = 3  # steps with left-over gradients before it is told: one can be a pass that failed


@rule("O04", "zero-grad-missing")
def check(record: Record) -> Iterator[Answer]:
    """The first optimizer whose gradients are mostly not cleared."""
    for optimizer in record.optimizers.values():
        finding = _examine(record, optimizer)
        if finding is not None:
            yield finding
            return


def _examine(record: Record, optimizer: Optimizer) -> Finding | None:
    looks = [look for look in record.looks_of(optimizer.id) if look.step > 1]
    stale = [look for look in looks if look.stale]
    if len(stale) < LOOKS or 2 * len(stale) <= len(looks):
        return None
    last = stale[-1]
    growth = _growth([look.grad_norm for look in stale])
    return Finding(
        text=f"{last.stale} of {last.parameters} gradients of the step before were still there "
        f"when backward began, in {len(stale)} of {len(looks)} steps looked at: each step adds to "
        f"all gradients before it{growth}",
        line=last.line,
        place=f"optimizer {optimizer.id}",
        evidence=(
            Evidence("gradients left over from the step before", last.stale, 0),
            Evidence("steps looked at in which some were", len(stale), len(looks)),
        ),
        prescriptions=(
            Prescription(
                "zero_grad",
                "call `optimizer.zero_grad()` before each `loss.backward()`",
                where=f"optimizer {optimizer.id}",
            ),
        ),
    )


def _growth(norms: list[float | None]) -> str:
    known = [norm for norm in norms if norm is not None]
    if len(known) < LOOKS or known[-1] <= known[0]:
        return ""
    return f"; the gradient norm went from {known[0]:.3g} to {known[-1]:.3g}"
