"""Keeps the program as it is while its loss is measured.

Held from the outside of each question: random states, output, hooks on all modules (all by
`torchdx.probes`), tensor hooks on parameters, `.grad`, modes and attributes of modules, autocast,
attention kernels. Around each forward: buffers are clones, random numbers those of the first one.
"""

import contextlib
import functools
import itertools
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.loss import _Loss

from torchdx.errors import CallError
from torchdx.events.glimpse import RandomState
from torchdx.events.guard import resting
from torchdx.probes.errors import CannotMeasure
from torchdx.probes.restoring import undisturbed
from torchdx.probes.stand_in import unmoved

_DEPTH = 4  # of functions and containers in which modules are looked for
_WIDTH = 200  # of each


class Guard:
    """What a loss touches, and how it is put back.

    Modes, buffers and random states of every forward are those at the time of making this.

    Args:
        functions: that compute the loss, the model first where there is one; modules are found in
            what they refer to.
        parameters: with respect to which it is differentiated.
    """

    def __init__(self, functions: Sequence[Any], parameters: Iterable[torch.Tensor]) -> None:
        self._model = functions[0]
        found = {id(m): m for f in functions for m in modules_of(f)}
        inner = {id(m): m for module in found.values() for m in module.modules()}
        self.modules = list(inner.values())
        self.draws = self.autocast = False
        self.forwards = 0
        self._parameters = list(parameters)
        self._training = [module.training for module in self.modules]
        self._buffers = _unique_buffers(self.modules)
        self._snapshot = {key: b.detach().clone() for key, b in self._buffers.items()}
        self._state = RandomState.now()
        self._depth = 0

    @property
    def mode(self) -> str:
        """Of the model's modules; of all that a closure calls but losses, where there is none."""
        own = set(self._model.modules()) if isinstance(self._model, nn.Module) else None
        pairs = zip(self.modules, self._training, strict=True)
        flags = {t for m, t in pairs if (not isinstance(m, _Loss) if own is None else m in own)}
        if len(flags) != 1:
            return "mixed" if flags else "as called"
        return "training" if flags.pop() else "evaluation"

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Around a question; inside itself it does nothing.

        Raises:
            CallError: the program follows every operation by a mode of its own.
        """
        if self._depth:
            yield
            return
        self._depth += 1
        self.autocast = any(torch.is_autocast_enabled(device) for device in ("cpu", "cuda"))
        try:
            with contextlib.ExitStack() as stack:
                self._hold(stack)
                yield
        except CannotMeasure as reason:
            msg = f"The curvature cannot be measured here: {reason}."
            raise CallError(msg) from None
        finally:
            self._depth -= 1

    @contextlib.contextmanager
    def forward(self) -> Iterator[None]:
        """Around one forward: it begins as the first one began."""
        clones = {key: value.clone() for key, value in self._snapshot.items()}
        places = [(m, name, b) for m in self.modules for name, b in m._buffers.items()]
        self._state.restore()
        self.forwards += 1
        try:
            for module, name, buffer in places:
                if buffer is not None and id(buffer) in clones:
                    module._buffers[name] = clones[id(buffer)]
            yield
            self.draws |= not unmoved(self._state, RandomState.now())
        finally:
            for module, name, buffer in places:
                module._buffers[name] = buffer

    def _hold(self, stack: contextlib.ExitStack) -> None:
        stack.enter_context(resting())
        stack.enter_context(undisturbed())
        for module in self.modules:
            stack.callback(_restore, vars(module), dict(vars(module)))
        for module, training in zip(self.modules, self._training, strict=True):
            module.training = training
        for parameter in self._parameters:
            stack.enter_context(_at_rest(parameter))
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        stack.enter_context(_no_fast_path())
        for device in ("cpu", "cuda"):
            if device == "cpu" or torch.cuda.is_available():
                stack.enter_context(torch.autocast(device, enabled=False))
        if any(p.is_cuda for p in self._parameters):
            recurrent = any(isinstance(m, nn.RNNBase) for m in self.modules)
            stack.enter_context(_full_precision(recurrent=recurrent))


def _unique_buffers(modules: list[nn.Module]) -> dict[int, torch.Tensor]:
    held = (b for module in modules for b in module._buffers.values() if b is not None)
    return {id(b): b for b in held}


def _restore(attributes: dict[str, Any], was: dict[str, Any]) -> None:
    for name in attributes.keys() - was.keys():
        del attributes[name]
    for name, value in was.items():
        if attributes.get(name, attributes) is not value:
            attributes[name] = value


@contextlib.contextmanager
def _at_rest(parameter: torch.Tensor) -> Iterator[None]:
    """Its gradient is as it was afterwards; its tensor hooks do not bend derivatives."""
    hooks = parameter._backward_hooks
    kept = dict(hooks) if hooks else {}
    gradient = parameter.grad
    if hooks:
        hooks.clear()
    try:
        yield
    finally:
        if hooks is not None:
            hooks.update(kept)
        if parameter.grad is not gradient:
            parameter.grad = gradient


@contextlib.contextmanager
def _no_fast_path() -> Iterator[None]:
    was = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(value=False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(value=was)


@contextlib.contextmanager
def _full_precision(*, recurrent: bool) -> Iterator[None]:
    """No TF32, which rounds in the fourth digit; cuDNN's recurrent nets differentiate but once."""
    was = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        cudnn = torch.backends.cudnn
        with cudnn.flags(enabled=cudnn.enabled and not recurrent, allow_tf32=False):
            yield
    finally:
        torch.set_float32_matmul_precision(was)


def modules_of(
    value: Any, depth: int = _DEPTH, seen: set[int] | None = None
) -> Iterator[nn.Module]:
    """Modules that a function refers to: by its variables, its arguments, the object it is of."""
    seen = set() if seen is None else seen
    if isinstance(value, nn.Module):
        yield value
        return
    if not depth or id(value) in seen or str(getattr(value, "__module__", "")).startswith("torch"):
        return
    seen.add(id(value))
    for inner in itertools.islice(_inside(value), _WIDTH):
        yield from modules_of(inner, depth - 1, seen)


def _inside(value: Any) -> Iterator[Any]:
    if isinstance(value, types.MethodType):
        yield from (value.__self__, value.__func__)
    elif isinstance(value, functools.partial):
        yield from (value.func, *value.args, *value.keywords.values())
    elif isinstance(value, types.FunctionType):
        yield from _referred(value)
    elif isinstance(value, Mapping):
        yield from value.values()
    elif isinstance(value, list | tuple):
        yield from value
    elif callable(value) and not isinstance(value, type) and hasattr(value, "__dict__"):
        yield from vars(value).values()


def _referred(function: types.FunctionType) -> Iterator[Any]:
    for cell in function.__closure__ or ():
        with contextlib.suppress(ValueError):  # not yet filled
            yield cell.cell_contents
    yield from function.__defaults__ or ()
    yield from (function.__kwdefaults__ or {}).values()
    names = function.__code__.co_names
    yield from (function.__globals__[name] for name in names if name in function.__globals__)
