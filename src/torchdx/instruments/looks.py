"""Measures single optimizer steps closely: gradients, real weight change, what was left over.

A look begins when the step before it ends, so that it can tell whether anything cleared the
gradients in between. Weights are compared on an even sample of each parameter, before and after.
"""

import contextlib
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from torchdx.events.recorder import Recorder, Sparse

SAMPLE = 16_384  # elements of each parameter that are compared; all of a smaller one
DENSE = 5  # steps looked at from the first

Label = Callable[[Any], str]


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


@contextlib.contextmanager
def unseen() -> Iterator[None]:
    """For measuring: no history, and no tensor subclass of the user's gets a say."""
    with torch.no_grad(), torch._C.DisableTorchFunctionSubclass():
        yield


class Looks:
    """Looks at chosen steps of every optimizer."""

    def __init__(self, recorder: Recorder, label: Label) -> None:
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
                left = _nonzero([p.grad for p in state.parameters()])
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
        norms = _norms(gradients)
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


def _norms(tensors: list[Any]) -> list[float] | None:
    """Euclidean norms; sparse and distributed gradients are left out by asking None of them."""
    dense = [t for t in tensors if type(t) in _DENSE and t.layout is torch.strided]
    if len(dense) != len(tensors):
        return None
    if not dense:
        return []
    try:
        return [float(n) for n in torch.stack(_same_device(torch._foreach_norm(dense))).tolist()]
    except (RuntimeError, NotImplementedError):
        return None


_DENSE = (torch.Tensor, torch.nn.Parameter)


def _same_device(norms: Any) -> list[torch.Tensor]:
    first = norms[0].device
    return [n.to(first).float() for n in norms]


def _nonzero(gradients: list[Any]) -> int:
    present = [g for g in gradients if g is not None]
    with unseen():
        norms = _norms(present)
    return 0 if norms is None else sum(n > 0 for n in norms)


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


class Stillness:
    """Whether weights change at all in a program that calls backward but steps no optimizer."""

    CHECKS = (3, 10, 30, 100, 300)
    PARAMETERS, ELEMENTS = 64, 256

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._first: list[tuple[weakref.ref[Any], torch.Tensor]] = []
        self._due: tuple[int, int | None] | None = None

    def backward(self, count: int, leaves: list[Any], line: int | None) -> None:
        """Called before the backward number `count` with the parameters that it reaches."""
        if count == 1:
            with unseen():
                chosen = leaves[: self.PARAMETERS]
                self._first = [(weakref.ref(p), _few(p, self.ELEMENTS).clone()) for p in chosen]
        elif count in self.CHECKS and self._first:
            self._due = count, line

    def ended(self) -> None:
        """Called after it, with the gradients that it left."""
        if self._due is None:
            return
        (count, line), self._due = self._due, None
        alive = [(p, old) for ref, old in self._first if (p := ref()) is not None]
        with unseen():
            changed = sum(not torch.equal(_few(p, self.ELEMENTS), old) for p, old in alive)
            nonzero = _nonzero([p.grad for p, _ in alive])
        facts = {"backwards": count, "of": len(alive), "changed": changed, "nonzero": nonzero}
        self._recorder.event("still", line=line, **facts)


class LeftOut:
    """Whether parameters that gradients reach, but no optimizer holds, stay as they are.

    A program may well update some parameters itself; only what is compared is known.
    """

    CHECKS = (3, 30, 300)  # steps of an optimizer after which is compared
    PARAMETERS, ELEMENTS = 1_000, 64

    def __init__(self, recorder: Recorder, label: Label) -> None:
        self._recorder, self._label = recorder, label
        self._first: dict[int, tuple[weakref.ref[Any], torch.Tensor]] = {}
        self._waited = 0

    def met(self, leaves: list[Any], held: set[int]) -> bool:
        """Keep a few elements of each parameter that is in no optimizer; whether there is one."""
        out = [p for p in leaves if id(p) not in held and isinstance(p, nn.Parameter)]
        for parameter in out[: self.PARAMETERS]:
            known = self._first.get(id(parameter))
            if known is None or known[0]() is not parameter:
                with unseen():
                    few = _few(parameter, self.ELEMENTS).clone()
                self._first[id(parameter)] = (weakref.ref(parameter), few)
                self._waited = 0
        if len(self._first) > self.PARAMETERS:
            self._forget()
        return bool(out)

    def _forget(self) -> None:
        self._first = {i: kept for i, kept in self._first.items() if kept[0]() is not None}

    def due(self, step: int) -> bool:
        """Whether to compare now, after an optimizer's step."""
        self._waited += bool(self._first) and step > 0
        return bool(self._first) and self._waited in self.CHECKS

    def compare(self, held: set[int]) -> None:
        """Record which of them have a gradient and the value that they had."""
        self._forget()
        kept = [(ref(), old) for i, (ref, old) in self._first.items() if i not in held]
        alive = [(p, old) for p, old in kept if p is not None and p.grad is not None]
        with unseen():
            flowing = _norms([p.grad for p, _ in alive]) or [1.0] * len(alive)
            pairs = [pair for pair, norm in zip(alive, flowing, strict=True) if norm > 0]
            still = [self._label(p) for p, old in pairs if torch.equal(_few(p, self.ELEMENTS), old)]
        if still:
            self._recorder.event("left-out", steps=self._waited, params=still)


def _few(parameter: torch.Tensor, elements: int) -> torch.Tensor:
    flat = parameter.detach().reshape(-1)
    return flat[:: max(1, flat.numel() // elements)]
