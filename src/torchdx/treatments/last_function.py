"""The function that a loss is fed by: found once, then left out. No treatment: two of them ask.

Which call of a function is the last is only known when its result reaches the loss. There it is
undone for that once, and from then on that call (the nth within its model's forward) passes on what
it is given, so that the model answers what the loss now takes.
"""

import weakref
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from torchdx.treatments.site import Site

KEPT = 16  # calls between a model's forward and its loss that are remembered

# Functions by the operation that findings name.
FUNCTIONS = {
    "Relu": ("relu", "relu_"),
    "Gelu": ("gelu",),
    "Silu": ("silu",),
    "Elu": ("elu",),
    "Softplus": ("softplus",),
    "Tanh": ("tanh",),
    "Sigmoid": ("sigmoid",),
    "Softmax": ("softmax",),
    "Hardtanh": ("hardtanh",),
    "Clamp": ("clamp", "clip", "clamp_", "clamp_min", "clamp_max"),
    "dropout": ("dropout",),
}

Key = tuple[int, int, str]  # model, number of the call within its forward, function


@dataclass(frozen=True)
class _Call:
    """One call: what it gave and was given; `given` is None where it worked in place."""

    key: Key
    result: "weakref.ref[torch.Tensor]"
    given: torch.Tensor | None
    settings: tuple[Any, ...]


class LastFunction:
    """Looks at calls of some functions, and leaves those out that fed a loss."""

    def __init__(self, site: Site, operations: Iterable[str]) -> None:
        self._site = site
        self._calls: deque[_Call] = deque(maxlen=KEPT)
        self._left_out: set[Key] = set()
        self._model, self._count, self._within = 0, 0, False
        site.before_model(self._begin)
        site.after_model(self._end)
        site.after_backward(self._calls.clear)
        names = dict.fromkeys(n for op in operations for n in FUNCTIONS.get(op, ()))
        for name in names:
            for owner in (functional, torch, torch.Tensor):
                if hasattr(owner, name):
                    self._watch(owner, name)

    def undone(self, given: torch.Tensor) -> torch.Tensor:
        """What a loss is to be given in place of `given`: the same without the last functions."""
        while (call := self._made(given)) is not None:
            self._left_out.add(call.key)
            self.learnt(call.settings, call.given)
            if call.given is None:
                break
            self._site.done()
            given = call.given.reshape(given.shape)
        return given

    def learnt(self, settings: tuple[Any, ...], given: torch.Tensor | None) -> None:
        """A last function was found; for who wants to know."""

    def _begin(self, model: nn.Module, _args: Any, _kwargs: Any) -> None:
        self._model, self._count = id(model), 0

    def _end(self, _model: nn.Module, answer: Any) -> Any:
        self._model = 0
        return answer

    def _watch(self, owner: Any, name: str) -> None:
        def around(original: Any, *args: Any, **kwargs: Any) -> Any:
            if self._within or not args or not isinstance(args[0], torch.Tensor):
                return original(*args, **kwargs)
            key = (self._model, self._count if self._model else -1, name.strip("_"))
            self._count += 1
            self._within = True
            try:
                if key in self._left_out and self._model:
                    return self._passed_on(original, args, kwargs)
                result = original(*args, **kwargs)
            finally:
                self._within = False
            if torch.is_grad_enabled() and isinstance(result, torch.Tensor):
                given = None if result is args[0] else args[0]
                settings = (name, args[1:], kwargs)
                self._calls.append(_Call(key, weakref.ref(result), given, settings))
            return result

        self._site.replace(owner, name, around)

    def _passed_on(self, original: Any, args: Any, kwargs: Any) -> torch.Tensor:
        """What it was given; random numbers are drawn as before."""
        given: torch.Tensor = args[0]
        if "dropout" in getattr(original, "__name__", ""):
            with torch.no_grad():
                original(torch.empty_like(given), *args[1:], **kwargs)
        self._site.done()
        return given

    def _made(self, given: torch.Tensor) -> _Call | None:
        """The call whose result a tensor is, as it is or in another layout."""
        for call in reversed(self._calls):
            result = call.result()
            if result is None or result.numel() != given.numel():
                continue
            if result is given or (
                given._base is (result if result._base is None else result._base)
                and given.is_contiguous()
                and result.is_contiguous()
            ):
                return call
        return None
