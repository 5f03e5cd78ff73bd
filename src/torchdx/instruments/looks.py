"""Measures single optimizer steps closely: gradients, real weight change, what was left over.

A look begins when the step before it ends, so that it can tell whether anything cleared the
gradients in between. Weights are compared on an even sample of each parameter, before and after,
so that the change is the real one, whatever the optimizer.

Signals, one place a parameter: `gradient.norm`, `weight.norm`, `update.norm`, Euclidean, in the
units of gradient and weight; the gradient as the optimizer was given it.
"""

import contextlib
import math
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch.optim import Optimizer

from torchdx.events.recorder import Recorder, Sparse
from torchdx.instruments.stillness import LeftOut
from torchdx.instruments.tensors import nonzero, norms_of, real_of, unseen

SAMPLE = 16_384  # elements of each parameter that are compared; all of a smaller one
DENSE = 5  # steps looked at from the first
FIRST, LATER = 12, 2  # optimizers of which so many are; of each later one
MAX_PLACES = 400  # parameters whose norms are told one by one


class _State:
    """What is known of one optimizer between its steps."""

    def __init__(self, optimizer: Optimizer, sparse: Sparse) -> None:
        self.optimizer = weakref.ref(optimizer)
        self.sparse = sparse
        self.looking = True
        self.left: int | None = None  # gradients not cleared since its last step; None: unknown
        self.before: list[torch.Tensor] | None = None
        self.backward: list[tuple[int, int]] | None = None  # gradients as backward left them
        self.edited = False  # whether they were changed before the step

    def parameters(self) -> list[torch.Tensor]:
        optimizer = self.optimizer()
        return [] if optimizer is None else parameters_of(optimizer)


def parameters_of(optimizer: Optimizer) -> list[torch.Tensor]:
    """The parameters with values that an optimizer holds and that require a gradient now."""
    held = [p for group in optimizer.param_groups for p in group["params"]]
    return [p for p in held if p.requires_grad and not p.is_meta]


class Looks:
    """Looks at chosen steps of every optimizer."""

    def __init__(self, recorder: Recorder, label: Callable[[Any], str]) -> None:
        self._recorder, self._label = recorder, label
        self._states: dict[int, _State] = {}
        self._left_out = LeftOut(recorder, label)

    def add(self, number: int, optimizer: Optimizer) -> None:
        """An optimizer was made, or is met for the first time."""
        if number in self._states:
            return
        early = len(self._states) < FIRST
        sparse = Sparse(DENSE, ratio=1.6) if early else Sparse(LATER, ratio=3.0)
        self._states[number] = _State(optimizer, sparse)
        self._states[number].sparse.due(1)

    def before_backward(self) -> None:
        """Count the gradients of earlier steps that are still there."""
        for state in self._states.values():
            if state.looking and state.left != 0:
                left = nonzero([p.grad for p in state.parameters()])
                state.left = left if state.left is None else min(state.left, left)

    def after_backward(self) -> None:
        """Remember the gradients, to see whether the program changes them before the step."""
        for state in self._states.values():
            if state.looking:
                state.backward = _versions(state.parameters())

    def reached(self, leaves: list[Any]) -> bool:
        """A backward pass is about to reach these; returns whether some are in no optimizer."""
        return self._left_out.met(leaves, self._held())

    def optimizers(self) -> list[Optimizer]:
        """Those that were met and are still alive."""
        return list(filter(None, (state.optimizer() for state in self._states.values())))

    def _held(self) -> set[int]:
        groups = (group for optimizer in self.optimizers() for group in optimizer.param_groups)
        return {id(p) for group in groups for p in group["params"]}

    def cleared(self, parameters: Callable[[], set[int]]) -> None:
        """The gradients of these parameters (by `id`) were cleared."""
        open_ = [s for s in self._states.values() if s.looking and s.left != 0]
        ids = parameters() if open_ else set()
        for state in open_:
            own = state.parameters()
            if own and id(own[0]) in ids:
                state.left = 0

    def before_step(self, number: int) -> None:
        """Keep a sample of the weights as they are."""
        state = self._states.get(number)
        if state is not None and state.looking:
            if state.backward is not None:
                state.edited = state.backward != _versions(state.parameters())
            with unseen():
                state.before = [_sample(p).clone() for p in state.parameters()]

    def after_step(self, number: int, step: int, line: int | None, *, sampled: bool) -> bool:
        """Finish the look, if one is under way; returns whether there was one.

        The next step is looked at when it is `sampled` anyway, or when its number is chosen.
        """
        state = self._states.get(number)
        if state is None:
            return False
        if self._left_out.due(step):
            self._left_out.compare(self._held())
        was_looking = state.looking
        if was_looking:
            self._recorder.emit({"e": "look", **self._measure(state, number, step), "line": line})
        state.before = state.backward = state.left = None
        state.edited = False
        state.looking = state.sparse.due(step + 1) or sampled
        return was_looking

    def _measure(self, state: _State, number: int, step: int) -> dict[str, Any]:
        parameters = state.parameters()
        given = [p for p in parameters if p.grad is not None]
        with unseen():
            norms = norms_of([p.grad for p in given])
            changes = _changes(parameters, state.before)
        known = None if norms is None else [n for n in norms if math.isfinite(n)]
        names = [self._label(p) for p in parameters[:MAX_PLACES]]
        signals = {}
        if norms is not None:
            kept = zip(given[:MAX_PLACES], norms, strict=False)
            signals["gradient.norm"] = {self._label(p): norm for p, norm in kept}
        if changes is not None:
            signals["weight.norm"] = dict(zip(names, (c.weight for c in changes), strict=False))
            signals["update.norm"] = dict(zip(names, (c.update for c in changes), strict=False))
        self._recorder.signals(step, signals)
        return {
            "optimizer": number,
            "step": step,
            "parameters": len(parameters),
            "none": len(parameters) - len(given),
            "zero": 0 if norms is None else sum(n == 0 for n in norms),
            "changed": sum(c.moved for c in changes or ()),
            "stale": state.left or 0,
            "grad_norm": None if known is None else math.hypot(*known),
            "weight_norm": None if changes is None else math.hypot(*(c.weight for c in changes)),
            "update_norm": None if changes is None else math.hypot(*(c.update for c in changes)),
            "edited": state.edited,
        }


def _versions(parameters: list[torch.Tensor]) -> list[tuple[int, int]]:
    """Which gradients there are, and how often each was changed in place."""
    with contextlib.suppress(RuntimeError):  # tensors made in inference mode count nothing
        return [(id(p.grad), 0 if p.grad is None else p.grad._version) for p in parameters]
    return []


def _sample(parameter: torch.Tensor) -> torch.Tensor:
    flat = real_of(parameter.detach()).reshape(-1)
    stride = max(1, -(-flat.numel() // SAMPLE))
    return flat[::stride]


class _Change(NamedTuple):
    """How one parameter changed in a step: its norm before, and that of the difference."""

    moved: bool
    weight: float
    update: float


def _changes(
    parameters: list[torch.Tensor], before: list[torch.Tensor] | None
) -> list[_Change] | None:
    """The change of each parameter, from the samples taken; None when none were."""
    if before is None or len(before) != len(parameters):
        return None
    return [_change_of(p, old) for p, old in zip(parameters, before, strict=True)]


def _change_of(parameter: torch.Tensor, old: torch.Tensor) -> _Change:
    if not old.numel():
        return _Change(moved=False, weight=0.0, update=0.0)
    new = _sample(parameter)
    share = (real_of(parameter).numel() / old.numel()) ** 0.5
    moved = not torch.equal(new, old)
    weight = float(torch.linalg.vector_norm(old.float())) * share
    update = float(torch.linalg.vector_norm((new - old).float())) * share if moved else 0.0
    return _Change(moved, weight, update)
