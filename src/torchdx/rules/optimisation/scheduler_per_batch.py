"""scheduler-per-batch (O11): a schedule counted in epochs is advanced at every batch.

## What is seen
`scheduler.step()` ran about once per optimizer step, and the schedule is far too short for that:
the rate fell below a thousandth of its highest value and stayed there for more than half of the
steps; or a cosine went down and up again within each epoch.
## Why the net does not learn
The rate dies within the first batches, and what follows changes nothing any more; or it swings many
times in each epoch instead of once in the run.
## When this is wrong
Schedules made for steps (one-cycle, cyclic, warm restarts, a horizon as long as the run) are meant
to be advanced at each; they keep their rate up for most of the run and are passed over.
## What to try
Call `scheduler.step()` once per epoch, behind the loop over the batches; or give the schedule its
lengths in steps.
## Sources
PyTorch forum 111249; `torch.optim.lr_scheduler`: the examples step once per epoch.
"""

from collections.abc import Iterator

from torchdx.record.model import Optimizer, Record, Scheduler
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, Severity, rule
from torchdx.rules.optimisation.pace import epoch_length, epochs_of, low_since, steps_since

PER_STEP = 0.8  # calls per optimizer step: a skipped one now and then (AMP) leaves it "each step"
STEPS = 20  # fewer say nothing of the pace
DEAD = 1e-3  # of the highest rate: such steps add up to less than one step at full rate per 1,000
DEAD_SHARE = 0.5  # of the steps, at such a rate; schedules that end near 0 get there at the end
CYCLIC = frozenset({"CyclicLR", "CosineAnnealingWarmRestarts", "OneCycleLR"})


@rule("O11", "scheduler-per-batch")
def check(record: Record) -> Iterator[Answer]:
    """One finding for each scheduler that ran ahead."""
    for scheduler in record.schedulers.values():
        optimizer = record.optimizers[scheduler.optimizer]
        steps = steps_since(record, scheduler)
        epochs = epochs_of(record, optimizer)
        if steps < STEPS or scheduler.calls < PER_STEP * steps or scheduler.cls in CYCLIC:
            continue
        if epochs is not None and steps < 2 * epochs:  # an epoch is a step: whole-data gradients
            continue
        length = epoch_length(record, [scheduler])
        finding = _dead(scheduler, optimizer, length) or _swinging(scheduler, steps, epochs, length)
        if finding is not None:
            yield finding


def _dead(scheduler: Scheduler, optimizer: Optimizer, length: str) -> Finding | None:
    since = low_since(optimizer, DEAD)
    if since is None or optimizer.steps - since < DEAD_SHARE * optimizer.steps:
        return None
    highest, last = max(rate for _, rate in optimizer.lrs), optimizer.lrs[-1][1]
    return _finding(
        scheduler,
        f"the rate fell from {highest:.3g} to {last:.3g}, and from step {since} of "
        f"{optimizer.steps} on it was below a thousandth of the highest",
        Evidence(
            "steps at less than a thousandth of the highest rate",
            optimizer.steps - since,
            optimizer.steps,
        ),
        "fault",
        length,
    )


def _swinging(scheduler: Scheduler, steps: int, epochs: int | None, epoch: str) -> Finding | None:
    length = scheduler.settings.get("T_max")
    if scheduler.cls != "CosineAnnealingLR" or not isinstance(length, int) or epochs is None:
        return None
    if epochs < 2 or 2 * length > steps / epochs:  # noqa: PLR2004  # down and up: twice T_max
        return None
    swings = steps / (2 * length)
    return _finding(
        scheduler,
        f"its cosine (T_max={length}) took the rate down and up {swings:.0f} times in {epochs} "
        "epochs",
        Evidence("steps in which the rate goes down and up again", 2 * length, steps // epochs),
        "fault" if length <= epochs else "suspicion",
        epoch,
    )


def _finding(
    scheduler: Scheduler, effect: str, evidence: Evidence, severity: Severity, epoch: str
) -> Finding:
    return Finding(
        text=f"{scheduler.cls} was advanced after every batch ({scheduler.calls} calls): {effect}",
        line=scheduler.called_at or scheduler.line,
        place=f"optimizer {scheduler.optimizer}",
        severity=severity,
        confirm="whether its lengths are meant in steps" if severity == "suspicion" else "",
        evidence=(evidence,),
        prescriptions=(
            Prescription(
                "scheduler",
                "call `scheduler.step()` once per epoch, or give its lengths in steps",
                where=scheduler.cls,
                to=epoch,
            ),
        ),
    )
