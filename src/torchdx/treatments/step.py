"""Steps for an optimizer that takes none, though gradients reach what it holds."""

import weakref
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from torchdx.events.guard import at_work
from torchdx.rules.base import Prescription
from torchdx.treatments.base import treatment
from torchdx.treatments.site import Site


@treatment("step")
def install(site: Site, prescription: Prescription) -> None:
    """Once per turn of the loop, behind all that the program does with the gradients.

    The step is taken when the next turn shows: a model is called, or gradients are cleared. Where
    another optimizer steps a second time, or right after the gradients of this one were cleared
    for a backward pass, that step was meant for this one and becomes its.
    """
    turn = _Turn(site, prescription.where)
    site.before_backward(turn.begins)
    site.after_backward(turn.ends)
    site.optimizer_made(turn.made)
    site.after_step(turn.stepped)
    site.before_model(turn.called)
    site.replace(Optimizer, "zero_grad", turn.zeroed)
    site.replace(nn.Module, "zero_grad", turn.zeroed)
    site.replace(nn.Module, "train", turn.switched)  # `eval` calls it


class _Turn:
    """Who has new gradients, whose were cleared for them, and who has never stepped."""

    def __init__(self, site: Site, where: str) -> None:
        self._site, self._where = site, where
        self._before: dict[int, tuple[Any, ...]] = {}
        self._fresh: list[Optimizer] = []
        self._cleared: list[Optimizer] = []
        self._awake: weakref.WeakSet[Optimizer] = weakref.WeakSet()
        self._classes: set[type] = set()
        self._ours = False

    def begins(self, _root: torch.Tensor) -> None:
        self._before = {id(o): _state(o) for o in self._site.optimizers}

    def ends(self) -> None:
        if at_work():  # a probe's pass
            return
        for optimizer in self._site.optimizers:
            new = _state(optimizer) != self._before.get(id(optimizer))
            if new and not _among(optimizer, self._fresh):
                self._fresh.append(optimizer)

    def idle(self) -> Optimizer | None:
        """One that is meant, waits with new gradients, and was never stepped by the program."""
        return next(
            (o for o in self._fresh if o not in self._awake and self._site.meant(o, self._where)),
            None,
        )

    def called(self, _model: nn.Module, _args: Any, _kwargs: Any) -> None:
        self.due()

    def due(self) -> None:
        while not (self._ours or at_work()) and (optimizer := self.idle()) is not None:
            self._take(optimizer)

    def _take(self, optimizer: Optimizer) -> None:
        self._ours = True
        try:
            optimizer.step()
        finally:
            self._ours = False
        self._site.done()

    def zeroed(self, original: Any, thing: Any, *args: Any, **kwargs: Any) -> None:
        self.due()
        if isinstance(thing, Optimizer):
            self._cleared.append(thing)
        original(thing, *args, **kwargs)

    def switched(self, original: Any, model: nn.Module, *args: Any, **kwargs: Any) -> Any:
        self.due()
        return original(model, *args, **kwargs)

    def made(self, optimizer: Optimizer) -> None:
        cls = type(optimizer)
        if cls not in self._classes:
            self._classes.add(cls)
            self._site.replace(cls, "step", self.asked)

    def asked(self, original: Any, optimizer: Optimizer, *args: Any, **kwargs: Any) -> Any:
        """The program steps an optimizer: another is stepped in its place where it means that."""
        if self._ours or not self._where or self._site.meant(optimizer, self._where):
            return original(optimizer, *args, **kwargs)
        waits = self.idle()
        own, cleared = _among(optimizer, self._fresh), _among(optimizer, self._cleared)
        if waits is None or (own and (cleared or not _among(waits, self._cleared))):
            return original(optimizer, *args, **kwargs)
        self._take(waits)
        return None

    def stepped(self, optimizer: Optimizer) -> None:
        if not self._ours:
            self._awake.add(optimizer)
        self._fresh = [o for o in self._fresh if o is not optimizer]
        self._cleared.clear()


def _state(optimizer: Optimizer) -> tuple[Any, ...]:
    """What changes when a gradient is added to any of an optimizer's parameters."""
    held = (p.grad for group in optimizer.param_groups for p in group["params"])
    return tuple((id(g), g._version) for g in held if g is not None)


def _among(optimizer: Optimizer, others: list[Optimizer]) -> bool:
    return any(o is optimizer for o in others)
