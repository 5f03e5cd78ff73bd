"""How long an epoch was, and how the learning rate went: what the rules on schedulers share."""

from collections import Counter
from collections.abc import Sequence

from torchdx.record.model import Optimizer, Record, Scheduler


def epochs_of(record: Record, optimizer: Optimizer) -> int | None:
    """Epochs since an optimizer was made: passes over its training data, or validations.

    None when the program shows neither: it slices its own arrays and never validates.
    """
    since = [phase for phase in record.phases if phase.step >= optimizer.step]
    passes = Counter(p.loader for p in since if p.loader and p.steps)
    validated = {p.step for p in since if p.validation and p.step > optimizer.step}
    seen = max([*passes.values(), len(validated)], default=0)
    return seen or None


def epoch_length(record: Record, schedulers: Sequence[Scheduler]) -> str:
    """Optimizer steps of an epoch, for a prescription: empty where epochs do not show."""
    optimizer = record.optimizers[schedulers[0].optimizer]
    epochs = epochs_of(record, optimizer)
    steps = max(steps_since(record, scheduler) for scheduler in schedulers)
    return str(max(1, round(steps / epochs))) if epochs else ""


def steps_since(record: Record, scheduler: Scheduler) -> int:
    """Steps of the scheduler's optimizer since the scheduler was made."""
    optimizer = record.optimizers[scheduler.optimizer]
    return optimizer.steps - max(0, scheduler.step - optimizer.step)


def low_since(optimizer: Optimizer, share: float) -> int | None:
    """The step from which the rate stayed below `share` of its highest; None when it did not."""
    highest = max((rate for _, rate in optimizer.lrs), default=0.0)
    start = None
    for step, rate in optimizer.lrs:
        if rate >= share * highest:
            start = None
        elif start is None:
            start = step
    return start
