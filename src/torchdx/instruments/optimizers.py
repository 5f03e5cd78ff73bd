"""Optimizers and schedulers: what they were given, how often they stepped, how the rate went."""

import weakref
from typing import Any

from torch.optim import Optimizer

from torchdx.events.loop import Loop
from torchdx.events.models import Models
from torchdx.events.numbers import Numbers
from torchdx.events.recorder import Recorder, Sparse
from torchdx.instruments.plateaus import Plateaus

# What a scheduler calls its own numbers, in torch.optim.lr_scheduler.
_SETTINGS = (
    "step_size gamma milestones T_max T_0 T_mult eta_min total_steps total_iters power patience "
    "factor max_lrs start_factor end_factor"
).split()
_DENSE_RATES = 200  # changes of the learning rate recorded one by one


class Optimizers:
    """Numbers optimizers and schedulers in the order in which they are made."""

    def __init__(self, recorder: Recorder, loop: Loop, models: Models) -> None:
        self._recorder, self._loop, self._models = recorder, loop, models
        self._numbers = Numbers()
        self._schedulers = Numbers()
        self._held: dict[int, dict[int, weakref.ref[Any]]] = {}
        self._facts: dict[int, dict[str, Any]] = {}
        self._rates: dict[int, float] = {}
        self._sparse = Sparse(_DENSE_RATES)
        self._changes = 0
        self._last_call: dict[int, int] = {}
        self.calls: dict[int, list[Any]] = {}
        self._called_at: dict[int, float] = {}
        self._plateaus = Plateaus(recorder)

    def made(self, optimizer: Optimizer) -> int:
        """An optimizer was made, or is met for the first time; returns its number."""
        if self._numbers.known(optimizer):
            return self._numbers.of(optimizer)
        number = self._numbers.of(optimizer)
        held = _held(optimizer)
        trained = {}
        for other, references in self._held.items():
            steps = self._loop.optimizer_steps.get(other, 0)
            if steps and any(_same(references.get(id(p)), p) for p in held):
                trained[other] = steps
        self._held[number] = {id(p): weakref.ref(p) for p in held}
        self._facts[number] = {
            "e": "optimizer",
            "id": number,
            "cls": type(optimizer).__name__,
            "line": self._recorder.frames.here(),
            "step": self._recorder.steps,
            "defaults": _plain(optimizer.defaults),
            "trained": trained,
        }
        self.describe(optimizer, number)
        return number

    def describe(self, optimizer: Optimizer, number: int) -> None:
        """Write down what an optimizer holds; again when more names have become known."""
        held = _held(optimizer)
        self._models.see_owners(held)
        facts = self._facts[number]
        names = [self._models.label(p) for p in held]
        frozen = [self._models.label(p) for p in held if not p.requires_grad]
        if (facts.get("params"), facts.get("frozen")) != (names, frozen):
            facts["params"], facts["frozen"] = names, frozen
            self._recorder.emit(facts)

    def ids_of(self, thing: Any) -> set[int]:
        """`id` of every parameter of an optimizer or a module."""
        if isinstance(thing, Optimizer):
            return {id(p) for p in _held(thing)}
        return {id(p) for p in thing.parameters()}

    def stepped(self, optimizer: Optimizer, number: int) -> None:
        """Follow the learning rate of the first group, and parameters that are added later."""
        if sum(len(group["params"]) for group in optimizer.param_groups) != len(self._held[number]):
            self._held[number] = {id(p): weakref.ref(p) for p in _held(optimizer)}
            self.describe(optimizer, number)
        rate = optimizer.param_groups[0].get("lr")
        if not isinstance(rate, float | int) or self._rates.get(number) == rate:
            return
        self._rates[number] = rate
        self._changes += 1
        if self._sparse.due(self._changes):
            step = self._loop.optimizer_steps.get(number, 0)
            self._recorder.emit({"e": "lr", "optimizer": number, "step": step, "lr": rate})

    def scheduler_made(self, scheduler: Any) -> None:
        """A scheduler was made."""
        optimizer = getattr(scheduler, "optimizer", None)
        if not isinstance(optimizer, Optimizer):
            return
        number = self._schedulers.of(scheduler)
        self.calls[number] = [0, 0, None]
        settings = {k: getattr(scheduler, k) for k in _SETTINGS if hasattr(scheduler, k)}
        self._last_call[number] = self._loop.optimizer_steps.get(self.made(optimizer), 0)
        self._called_at[number] = optimizer.param_groups[0]["lr"]
        self._recorder.emit(
            {
                "e": "scheduler",
                "id": number,
                "cls": type(scheduler).__name__,
                "optimizer": self.made(optimizer),
                "line": self._recorder.frames.here(),
                "step": self._recorder.steps,
                "settings": _plain(settings),
            }
        )

    def scheduler_stepped(self, scheduler: Any, given: Any) -> None:
        """A scheduler's `step` was called from outside torch."""
        optimizer = getattr(scheduler, "optimizer", None)
        if not self._schedulers.known(scheduler) or not isinstance(optimizer, Optimizer):
            return
        number = self._schedulers.of(scheduler)
        done = self._loop.optimizer_steps.get(self.made(optimizer), 0)
        call = self.calls[number]
        call[0] += 1
        call[1] += done - self._last_call[number] == 1
        call[2] = self._recorder.frames.here()
        self._last_call[number] = done
        if hasattr(scheduler, "num_bad_epochs"):
            rate = optimizer.param_groups[0]["lr"]
            cut = rate < self._called_at.get(number, rate)
            self._called_at[number] = rate
            self._plateaus.stepped(number, scheduler.mode, given, done, cut=bool(cut))

    def close(self) -> None:
        """The run is over: whoever asks how far a schedule came need not wait for more."""
        if self.calls:
            self._recorder.event("schedules-over", line=0, schedulers=sorted(self.calls))


def _held(optimizer: Optimizer) -> list[Any]:
    return [p for group in optimizer.param_groups for p in group["params"]]


def _same(reference: "weakref.ref[Any] | None", parameter: Any) -> bool:
    return reference is not None and reference() is parameter


def _plain(values: Any) -> dict[str, Any]:
    """Settings as JSON can hold them."""
    plain: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, bool | int | float | str) or value is None:
            plain[key] = value
        elif isinstance(value, list | tuple):
            plain[key] = [v for v in value if isinstance(v, bool | int | float | str)]
        elif hasattr(value, "items"):
            plain[key] = [int(v) for v in value if isinstance(v, int)]
    return plain
