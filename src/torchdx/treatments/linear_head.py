"""The model ends with its last layer: no function after it that squashes, no dropout.

A dropout there is moved in front of the last layer, as a mask of its own random numbers.
"""

import weakref
from typing import Any

import torch
from torch.nn import functional

from torchdx.rules.base import Prescription
from torchdx.treatments.base import treatment
from torchdx.treatments.last_function import FUNCTIONS, LastFunction
from torchdx.treatments.site import Site

FREE = frozenset(
    "cross_entropy binary_cross_entropy_with_logits mse_loss l1_loss smooth_l1_loss huber_loss"
    " multi_margin_loss multilabel_soft_margin_loss".split()
)  # losses of scores or numbers of any size


@treatment("linear_head")
def install(site: Site, prescription: Prescription) -> None:
    """`where` names the operation that is left out (`Relu`, `dropout`); any, if empty."""
    known = prescription.where in FUNCTIONS
    last = _Ending(
        site, [prescription.where] if known else [op for op in FUNCTIONS if op != "Clamp"]
    )

    def around(name: str, original: Any, arguments: dict[str, Any]) -> torch.Tensor:
        if name in FREE and torch.is_grad_enabled():
            arguments["input"] = last.undone(arguments["input"])
        loss: torch.Tensor = original(**arguments)
        return loss

    site.losses(around)


class _Ending(LastFunction):
    """Has a dropout that is left out done by the layer before it, to what that is given."""

    def __init__(self, site: Site, operations: list[str]) -> None:
        super().__init__(site, operations)
        self._made_by: dict[int, weakref.ref[torch.Tensor]] = {}  # by address of their results
        self._layer: weakref.ref[torch.Tensor] | None = None
        self._share = 0.0
        self._generator = torch.Generator().manual_seed(0)
        site.replace(functional, "linear", self._linear)

    def learnt(self, settings: tuple[Any, ...], given: torch.Tensor | None) -> None:
        name, args, kwargs = settings
        if name == "dropout" and given is not None:
            self._layer = self._made_by.get(id(given))
            self._share = float(kwargs.get("p", args[0] if args else 0.5))

    def _linear(self, original: Any, given: Any, weight: Any, *args: Any, **kwargs: Any) -> Any:
        chosen = self._layer is not None and self._layer() is weight
        if chosen and torch.is_grad_enabled():
            given = given * self._mask(given)
        result = original(given, weight, *args, **kwargs)
        if self._layer is None:
            self._made_by = {
                **dict(list(self._made_by.items())[-8:]),
                id(result): weakref.ref(weight),
            }
        return result

    def _mask(self, given: torch.Tensor) -> torch.Tensor:
        drawn = torch.rand(given.shape, generator=self._generator).to(given.device)
        return (drawn >= self._share).to(given.dtype) / (1 - self._share)
