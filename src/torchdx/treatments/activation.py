"""Another activation behind some layers, or one where there is none."""

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from torchdx.rules.base import Prescription
from torchdx.treatments.base import treatment
from torchdx.treatments.site import Site

Function = Callable[[torch.Tensor], torch.Tensor]

SLOPE = 0.01  # of a LeakyReLU below zero: torch's own
FUNCTIONS: dict[str, Function] = {
    "ReLU": lambda x: x.clamp_min(0.0),
    "LeakyReLU": lambda x: torch.where(x > 0, x, SLOPE * x),
}
_PLACES = tuple(
    (owner, name) for owner in (torch, functional, torch.Tensor)
    for name in ("relu", "sigmoid", "tanh")
)  # fmt: skip
_PASSING = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.Flatten, nn.Identity,
            nn.modules.dropout._DropoutNd, nn.MaxPool2d, nn.AvgPool2d)  # fmt: skip


@treatment("activation")
def install(site: Site, prescription: Prescription) -> None:
    """`where` lists layers. With a `to`, the activation behind each is replaced by it.

    Without one, a ReLU comes in front of each.
    """
    places = {place.strip() for place in prescription.where.split(",")}
    behind = _Behind(site, places)
    if not prescription.to:
        site.before_module(behind.in_front)
    elif (function := FUNCTIONS.get(prescription.to)) is not None:
        behind.function = function
        site.before_module(behind.entering)
        site.after_module(behind.left)
        for owner, name in _PLACES:
            site.replace(owner, name, behind.activated)
    site.first_call(behind.find)


class _Behind:
    """What the named layers put out, and what only passes it on."""

    def __init__(self, site: Site, places: set[str]) -> None:
        self._site, self._places = site, places
        self._layers: weakref.WeakSet[nn.Module] = weakref.WeakSet()
        self._marked: weakref.ref[torch.Tensor] | None = None
        self._passing: nn.Module | None = None
        self._inside = False
        self.function: Function = FUNCTIONS["ReLU"]

    def find(self, model: nn.Module) -> None:
        for place in self._places:
            if (layer := self._site.module(model, place)) is not None:
                self._layers.add(layer)

    def in_front(self, module: nn.Module, args: Any, kwargs: Any) -> tuple[Any, Any] | None:
        if module not in self._layers or not args or not isinstance(args[0], torch.Tensor):
            return None
        self._site.done()
        return (self.function(args[0]), *args[1:]), kwargs

    def entering(self, module: nn.Module, args: Any, _kwargs: Any) -> None:
        own = bool(args) and isinstance(module, _PASSING) and self._is_marked(args[0])
        self._passing = module if own else None

    def left(self, module: nn.Module, answer: Any) -> Any:
        if isinstance(answer, torch.Tensor) and (module in self._layers or module is self._passing):
            self._marked = weakref.ref(answer)
        return answer

    def _is_marked(self, value: Any) -> bool:
        return self._marked is not None and value is self._marked()

    def activated(self, original: Any, *args: Any, **kwargs: Any) -> Any:
        if self._inside or not args or not self._is_marked(args[0]):
            return original(*args, **kwargs)
        self._inside = True
        try:
            result = self.function(args[0])
        finally:
            self._inside = False
        self._site.done()
        return result
