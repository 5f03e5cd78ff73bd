"""A schedule in epochs: advanced once at the end of each, and nowhere else."""

import weakref
from typing import Any

from torch.optim import Optimizer, lr_scheduler

from torchdx.rules.base import Prescription
from torchdx.treatments.base import treatment
from torchdx.treatments.site import Site

_OWN = (lr_scheduler.LRScheduler, lr_scheduler.CosineAnnealingWarmRestarts,
        lr_scheduler.SequentialLR, lr_scheduler.ChainedScheduler)  # fmt: skip


@treatment("scheduler")
def install(site: Site, prescription: Prescription) -> None:
    """`to` says how many optimizer steps an epoch has; `where` is the scheduler's class.

    One that is made again for the same optimizer goes on where the one before was.
    """
    length = int(prescription.to) if prescription.to.isdigit() else 0
    if not length:
        return
    pace = _Pace(site, length, prescription.where)
    site.after_step(pace.stepped)

    def install_in_front() -> None:
        for owner in _OWN:
            site.replace(owner, "step", pace.asked)
            if "__init__" in vars(owner):
                site.replace(owner, "__init__", pace.made)

    site.in_front(install_in_front)


class _Pace:
    """Steps of each scheduler's optimizer, and whose turn it is to advance."""

    def __init__(self, site: Site, length: int, cls: str) -> None:
        self._site, self._length, self._cls = site, length, cls
        self._known: weakref.WeakKeyDictionary[Optimizer, Any] = weakref.WeakKeyDictionary()
        self._steps: weakref.WeakKeyDictionary[Optimizer, int] = weakref.WeakKeyDictionary()
        self._free = 0

    def made(self, original: Any, scheduler: Any, *args: Any, **kwargs: Any) -> None:
        self._free += 1
        try:
            original(scheduler, *args, **kwargs)
        finally:
            self._free -= 1
        if type(scheduler).__name__ == self._cls:
            self._goes_on(scheduler)

    def _goes_on(self, scheduler: Any) -> None:
        optimizer = scheduler.optimizer
        before = self._known.get(optimizer)
        self._known[optimizer] = scheduler
        self._steps.setdefault(optimizer, 0)
        if before is None or before is scheduler:
            return
        scheduler.load_state_dict(before.state_dict())
        for group, rate in zip(optimizer.param_groups, before.get_last_lr(), strict=False):
            group["lr"] = rate
        self._site.done()

    def asked(self, original: Any, scheduler: Any, *args: Any, **kwargs: Any) -> None:
        """The program, or torch itself, advances a schedule."""
        ours = any(known is scheduler for known in self._known.values())
        if self._free or not ours:
            original(scheduler, *args, **kwargs)

    def stepped(self, optimizer: Optimizer) -> None:
        if optimizer not in self._steps:
            return
        self._steps[optimizer] += 1
        if self._steps[optimizer] % self._length == 0:
            self._free += 1
            try:
                self._known[optimizer].step()
            finally:
                self._free -= 1
            self._site.done()
