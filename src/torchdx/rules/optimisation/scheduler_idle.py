"""scheduler-idle (O12): a learning-rate schedule was made, and the rate never followed it.

## What is seen
The scheduler's `step` was never called, or it was made anew again and again on the same line and
never called more than once in between; and the optimizer's rate was the same at every step.

Or the schedule was given as many steps as the run then had optimizer steps (`total_steps`, `T_max`
or `total_iters`, to the step), which shows that it is counted in these, and was advanced less than
half as often, once an epoch as a rule: it came to its end by a small part only.
## Why the net does not learn
The rate stays at its first value, or near it: with a one-cycle schedule that is the bottom of its
warm-up, a small part of the rate that was chosen. Training goes on, but not by the schedule that is
written down: it is slower, or the end of the run is noisier, than planned.
## When this is wrong
A run that ended before the schedule was to begin (averaged weights, a warm-up by another
scheduler): these are passed over as far as they can be told.
## What to try
Make the scheduler once, beside the optimizer, and call its `step` at the end of each epoch; behind
each `optimizer.step()` where its length is counted in steps.
## Sources
PyTorch forum 28797, 12444; `torch.optim.lr_scheduler`, "How to adjust learning rate";
`OneCycleLR`: "`step` should be called after a batch has been used for training".
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
LENGTHS = ("total_steps", "T_max", "total_iters")  # how schedules call their own
BEHIND = 0.5  # of its length: own choice, calls per epoch leave it at 1 over the batches of one


@rule("O12", "scheduler-idle")
def check(record: Record) -> Iterator[Answer]:
    """One finding for each optimizer whose schedule stands still."""
    for optimizer in record.optimizers.values():
        own = [s for s in record.schedulers.values() if s.optimizer == optimizer.id]
        yield from filter(None, (_far_behind(record, scheduler) for scheduler in own))
        if not own or len({rate for _, rate in optimizer.lrs}) != 1:
            continue
        if any(s.cls in APART for s in own):
            continue
        finding = _rebuilt(record, own) or _never_stepped(record, own)
        if finding is not None:
            yield finding


def _far_behind(record: Record, scheduler: Scheduler) -> Finding | None:
    """A schedule as long as the run, in steps, that was advanced far less often."""
    steps = steps_since(record, scheduler)
    lengths = [scheduler.settings.get(name) for name in LENGTHS]
    over = any(scheduler.id in e.facts["schedulers"] for e in record.of("schedules-over"))
    if not over or steps < STEPS or steps not in lengths:
        return None
    if not 0 < scheduler.calls < BEHIND * steps:
        return None
    rates = [rate for _, rate in record.optimizers[scheduler.optimizer].lrs]
    went = f"from {rates[0]:.3g} to {rates[-1]:.3g}" if rates else "hardly"
    return Finding(
        text=f"this {scheduler.cls} is made for {steps} steps, as many as the optimizer did, but "
        f"was advanced only {scheduler.calls} times: the learning rate went {went}",
        line=scheduler.called_at or scheduler.line,
        place=f"optimizer {scheduler.optimizer}",
        evidence=(Evidence("calls of its step", scheduler.calls, steps),),
        prescriptions=(
            Prescription(
                "scheduler",
                "call `scheduler.step()` after each `optimizer.step()`",
                where=scheduler.cls,
                to="1",
            ),
        ),
    )


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
