"""Measures single optimizer steps closely: gradients, real weight change, what was left over.

A look begins when the step before it ends, so that it can tell whether anything cleared the
gradients in between. Weights are compared on an even sample of each parameter, before and after.
"""

import contextlib
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer

from torchdx.events.recorder import Recorder, Sparse
from torchdx.instruments.stillness import LeftOut
from torchdx.instruments.tensors import nonzero, norms_of, unseen

SAMPLE = 16_384  # elements of each parameter that are compared; all of a smaller one
DENSE = 5  # steps looked at from the first


class _State:
    """What is known of one optimizer between its steps."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = weakref.ref(optimizer)
        self.sparse = Sparse(DENSE, ratio=1.6)
        self.looking = True
        self.left: int | None = None  # gradients not cleared since its last step; None: unknown
        self.before: list[torch.Tensor] | None = None
        self.backward: list[tuple[int, int]] | None = None  # gradients as backward left them
        self.edited = False  # whether they were changed before the step

    def parameters(self) -> list[torch.Tensor]:
        optimizer = self.optimizer()
        return [] if optimizer is None else parameters_of(optimizer)


def parameters_of(optimizer: Optimizer) -> list[torch.Tensor]:
    """The parameters that an optimizer holds and that require a gradient now."""
    held = [p for group in optimizer.param_groups for p in group["params"]]
    return [p for p in held if p.requires_grad]


class Looks:
    """Looks at chosen steps of every optimizer."""

    def __init__(self, recorder: Recorder, label: Callable[[Any], str]) -> None:
        self._recorder = recorder
        self._states: dict[int, _State] = {}
        self._left_out = LeftOut(recorder, label)

    def add(self, number: int, optimizer: Optimizer) -> None:
        """An optimizer was made, or is met for the first time."""
        if number in self._states:
            return
        self._states[number] = _State(optimizer)
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

    def _held(self) -> set[int]:
        optimizers = filter(None, (state.optimizer() for state in self._states.values()))
        return {id(p) for o in optimizers for group in o.param_groups for p in group["params"]}

    def cleared(self, parameters: set[int]) -> None:
        """The gradients of these parameters (by `id`) were cleared."""
        for state in self._states.values():
            if state.looking and state.left != 0:
                own = state.parameters()
                if own and id(own[0]) in parameters:
                    state.left = 0

    def before_step(self, number: int) -> None:
        """Keep a sample of the weights as they are."""
        state = self._states.get(number)
        if state is not None and state.looking:
            if state.backward is not None:
                state.edited = state.backward != _versions(state.parameters())
            with unseen():
                state.before = [_sample(p).clone() for p in state.parameters()]

    def after_step(self, number: int, step: int, line: int | None) -> bool:
        """Finish the look, if one is under way; returns whether there was one."""
        state = self._states.get(number)
        if state is None:
            return False
        if self._left_out.due(step):
            self._left_out.compare(self._held())
        was_looking = state.looking
        if was_looking:
            self._recorder.emit({"e": "look", **_measure(state, number, step), "line": line})
        state.before = state.backward = state.left = None
        state.edited = False
        state.looking = state.sparse.due(step + 1)
        return was_looking


def _measure(state: _State, number: int, step: int) -> dict[str, Any]:
    parameters = state.parameters()
    gradients = [p.grad for p in parameters if p.grad is not None]
    with unseen():
        norms = norms_of(gradients)
        changed, weight, update = _change(parameters, state.before)
    known = None if norms is None else [n for n in norms if n == n]  # noqa: PLR0124  # NaN
    return {
        "optimizer": number,
        "step": step,
        "parameters": len(parameters),
        "none": len(parameters) - len(gradients),
        "zero": 0 if norms is None else sum(n == 0 for n in norms),
        "changed": changed,
        "stale": state.left or 0,
        "grad_norm": None if known is None else sum(n * n for n in known) ** 0.5,
        "weight_norm": weight,
        "update_norm": update,
        "edited": state.edited,
    }


def _versions(parameters: list[torch.Tensor]) -> list[tuple[int, int]]:
    """Which gradients there are, and how often each was changed in place."""
    with contextlib.suppress(RuntimeError):  # tensors made in inference mode count nothing
        return [(id(p.grad), 0 if p.grad is None else p.grad._version) for p in parameters]
    return []


def _sample(parameter: torch.Tensor) -> torch.Tensor:
    flat = parameter.detach().reshape(-1)
    stride = max(1, -(-flat.numel() // SAMPLE))
    return flat[::stride]


def _change(
    parameters: list[torch.Tensor], before: list[torch.Tensor] | None
) -> tuple[int, float | None, float | None]:
    """How many parameters changed; norm of all weights before, and of all changes."""
    if before is None or len(before) != len(parameters):
        return 0, None, None
    changed, weight, update = 0, 0.0, 0.0
    for parameter, old in zip(parameters, before, strict=True):
        if not old.numel():
            continue
        new = _sample(parameter)
        share = parameter.numel() / old.numel()
        moved = not torch.equal(new, old)
        changed += moved
        weight += float(torch.linalg.vector_norm(old.float())) ** 2 * share
        if moved:
            update += float(torch.linalg.vector_norm((new - old).float())) ** 2 * share
    return changed, weight**0.5, update**0.5
