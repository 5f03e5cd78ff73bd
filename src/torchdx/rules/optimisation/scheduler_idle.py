"""scheduler-idle (O12): a learning-rate schedule was made, and the rate never followed it.

## What is seen
The scheduler's `step` was never called, or it was made anew again and again on the same line and
never called more than once in between; and the optimizer's rate was the same at every step.
## Why the net does not learn
The rate stays at its first value. Training goes on, but not by the schedule that is written down:
the end of the run is noisier than planned.
## When this is wrong
A run that ended before the schedule was to begin (averaged weights, a warm-up by another
scheduler): these are passed over as far as they can be told.
## What to try
Make the scheduler once, beside the optimizer, and call its `step` at the end of each epoch.
## Sources
PyTorch forum 28797, 12444; `torch.optim.lr_scheduler`, "How to adjust learning rate".
"""

from collections.abc import Iterator

from torchdx.record.model import Record, Scheduler
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, Severity, rule
from torchdx.rules.optimisation.pace import epoch_length, epochs_of, steps_since

STEPS = 20  # of the optimizer since the scheduler was made; fewer may be a trial run
EPOCHS = 4  # from here on a schedule by epochs has had its turns, without doubt
REBUILT = 3  # schedulers of one optimizer from one line; two may be two stages
# They step others themselves, or begin late by design.
APART = frozenset({"SequentialLR", "ChainedScheduler", "SWALR"})


@rule("O12", "scheduler-idle")
def check(record: Record) -> Iterator[Answer]:
    """One finding for each optimizer whose schedule stands still."""
    for optimizer in record.optimizers.values():
        own = [s for s in record.schedulers.values() if s.optimizer == optimizer.id]
        if not own or len({rate for _, rate in optimizer.lrs}) != 1:
            continue
        if any(s.cls in APART for s in own):
            continue
        finding = _rebuilt(record, own) or _never_stepped(record, own)
        if finding is not None:
            yield finding


def _rebuilt(record: Record, own: list[Scheduler]) -> Finding | None:
    length = epoch_length(record, own)
    lines = [str(s.line) for s in own]
    if len(own) < REBUILT or len(set(lines)) > 1 or max(s.calls for s in own) > 1:
        return None
    return _finding(
        own[0],
        f"{own[0].cls} was made anew {len(own)} times for one optimizer and advanced at most once "
        "each time, so that it always began again",
        Evidence("schedulers made for one optimizer", len(own), 1),
        "fault",
        length,
    )


def _never_stepped(record: Record, own: list[Scheduler]) -> Finding | None:
    steps = max(steps_since(record, s) for s in own)
    epochs = epochs_of(record, record.optimizers[own[0].optimizer])
    if steps < STEPS or any(s.calls for s in own) or epochs == 1:
        return None
    in_epochs = f" and {epochs} epochs" if epochs else ""
    return _finding(
        own[0],
        f"the step of this {own[0].cls} was never called in {steps} optimizer steps{in_epochs}",
        Evidence("calls of its step", 0, epochs or steps),
        "fault" if epochs and epochs >= EPOCHS else "suspicion",
        epoch_length(record, own),
    )


def _finding(
    scheduler: Scheduler, what: str, evidence: Evidence, severity: Severity, length: str
) -> Finding:
    return Finding(
        text=f"{what}; the learning rate stayed the same",
        line=scheduler.line,
        place=f"optimizer {scheduler.optimizer}",
        severity=severity,
        confirm="whether the schedule was to begin later" if severity == "suspicion" else "",
        evidence=(evidence,),
        prescriptions=(
            Prescription(
                "scheduler",
                "make the scheduler once and call `scheduler.step()` at the end of each epoch",
                where=scheduler.cls,
                to=length,
            ),
        ),
    )
