"""State that is carried from one step to the next goes on without the graph behind it."""

from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

from torchdx.rules.base import Prescription
from torchdx.treatments.base import treatment
from torchdx.treatments.site import Site


@treatment("detach_state", judged_on="speed")
def install(site: Site, prescription: Prescription) -> None:
    """What a model is given, or holds, that was computed before the last backward pass."""
    del prescription
    carried = _Carried(site)
    site.before_backward(carried.began)
    site.before_model(carried.called)


class _Carried:
    """How far back the last backward pass began: torch numbers operations as they are done."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._last = -1

    def began(self, root: torch.Tensor) -> None:
        if root.grad_fn is not None:
            self._last = max(self._last, _number(root.grad_fn))

    def called(self, model: nn.Module, args: Any, kwargs: Any) -> tuple[Any, Any]:
        for module in model.modules():
            for held in (vars(module), module._buffers):
                for name in [k for k, v in held.items() if self._has_old(v)]:
                    held[name] = pytree.tree_map(self._cut, held[name])
        found: tuple[Any, Any] = pytree.tree_map(self._cut, (args, kwargs))
        return found

    def _has_old(self, value: Any) -> bool:
        if isinstance(value, tuple | list):
            return any(map(self._old, value))
        return self._old(value)

    def _old(self, value: Any) -> bool:
        node = value.grad_fn if isinstance(value, torch.Tensor) else None
        return node is not None and _number(node) <= self._last

    def _cut(self, value: Any) -> Any:
        if not self._old(value):
            return value
        self._site.done()
        return value.detach()


def _number(node: Any) -> int:
    return int(node._sequence_nr())
