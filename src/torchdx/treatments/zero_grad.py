"""Gradients of one step only: cleared before the first backward behind a step, and nowhere else."""

from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from torchdx.events.guard import at_work
from torchdx.rules.base import Prescription
from torchdx.treatments.base import treatment
from torchdx.treatments.site import Site


def clear(optimizer: Optimizer) -> bool:
    """Let go of all gradients that an optimizer holds; whether any was other than zero."""
    held = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    left = any(bool(p.grad.any()) for p in held)
    for parameter in held:
        parameter.grad = None
    return left


@treatment("zero_grad")
def install(site: Site, prescription: Prescription) -> None:
    """The program's own `zero_grad` does nothing while gradients wait for their step.

    A step is over when `optimizer.step` is, or the step of a `GradScaler`, which may leave the
    optimizer's out; within a step, each backward pass of a closure counts as one of its own.
    """
    turn = _Turn(site, prescription.where)
    site.replace(Optimizer, "zero_grad", turn.zeroed)
    site.replace(nn.Module, "zero_grad", turn.zeroed)
    site.replace(torch.amp.GradScaler, "step", turn.scaled)
    site.before_backward(turn.begins)
    site.after_backward(turn.ends)
    site.before_step(turn.stepping)
    site.after_step(turn.stepped)


class _Turn:
    """Whose gradients wait for their step, and whose have had it."""

    def __init__(self, site: Site, where: str) -> None:
        self._site, self._where = site, where
        self._waiting = False
        self._used: list[Optimizer] = []
        self._inside: list[Optimizer] = []

    def begins(self, _root: torch.Tensor) -> None:
        if at_work():  # a probe's pass
            return
        for optimizer in self._used:
            if self._site.meant(optimizer, self._where) and clear(optimizer):
                self._site.done()
        self._used.clear()

    def ends(self) -> None:
        if at_work():
            return
        self._waiting = True
        self._used.extend(self._inside)

    def stepping(self, optimizer: Optimizer) -> None:
        self._inside.append(optimizer)

    def stepped(self, optimizer: Optimizer) -> None:
        self._inside = [o for o in self._inside if o is not optimizer]
        self._waiting = False
        if all(o is not optimizer for o in self._used):
            self._used.append(optimizer)

    def scaled(self, original: Any, scaler: Any, optimizer: Optimizer, *args: Any) -> Any:
        result = original(scaler, optimizer, *args)
        self.stepped(optimizer)
        return result

    def zeroed(self, original: Any, thing: Any, *args: Any, **kwargs: Any) -> None:
        if self._waiting:
            self._site.done()
            return
        original(thing, *args, **kwargs)
