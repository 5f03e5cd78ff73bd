"""A mean in place of a sum: the loss of a batch, whatever its size, weighs as one row's.

Where the loss is one sum of torch's own, that is asked for `reduction="mean"`, as the edit would
be. Where several terms are added, or the sum is written by hand, all of it is divided by the rows
of the batch before backward, so that the terms keep their proportions.
"""

from typing import Any

import torch
from torch import nn

from torchdx.rules.base import Prescription
from torchdx.treatments.base import treatment
from torchdx.treatments.made_by import operation
from torchdx.treatments.site import Site

_HEADS = ("NllLoss", "Mse", "SmoothL1", "Huber", "BinaryCrossEntropy", "SoftMargin", "KlDiv", "Sum")


@treatment("reduction", redefines=True)
def install(site: Site, prescription: Prescription) -> None:
    """How the loss is made is seen at the first backward pass."""
    del prescription
    _Averaging(site)


class _Averaging:
    """Averages what is summed."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._rows = 0
        self._summed: list[tuple[torch.Tensor, torch.Tensor]] = []  # each sum, with its mean
        self._alone: bool | None = None
        self._adds = False
        site.losses(self._loss)
        site.before_model(self._seen)
        site.before_backward(self._before)

    def _loss(self, _name: str, original: Any, arguments: dict[str, Any]) -> torch.Tensor:
        loss: torch.Tensor
        if arguments.get("reduction") != "sum" and arguments.get("size_average") is not False:
            loss = original(**arguments)
            return loss
        kept = {k: v for k, v in arguments.items() if k not in {"size_average", "reduce"}}
        averaged: torch.Tensor = original(**{**kept, "reduction": "mean"})
        if self._alone and averaged.requires_grad:
            self._site.done()
            return averaged
        loss = original(**arguments)
        if loss.requires_grad and self._alone is None:
            self._summed.append((loss, averaged))
        return loss

    def _seen(self, _model: nn.Module, args: Any, kwargs: Any) -> None:
        tensors = [v for v in (*args, *kwargs.values()) if isinstance(v, torch.Tensor) and v.dim()]
        if tensors and torch.is_grad_enabled():
            self._rows = len(tensors[0])

    def _before(self, root: torch.Tensor) -> torch.Tensor | None:
        if self._alone is None:
            self._alone = len(self._summed) == 1 and operation(root).startswith(_HEADS)
            summed, self._summed = self._summed, []
            self._adds = bool(summed) or _adds_rows(root.grad_fn, self._rows)
            if self._alone and root is summed[0][0]:
                self._site.done()
                return summed[0][1]
            if self._alone:  # the same in another layout or precision
                self._site.done()
                return root * (summed[0][1].detach() / summed[0][0].detach())
        if self._alone or not self._adds or not self._rows:
            return None
        self._site.done()
        return root / self._rows


def _adds_rows(node: Any, rows: int, depth: int = 8) -> bool:
    """Whether terms that add up as many rows reach the loss undivided."""
    if node is None or depth == 0:
        return False
    name = node.name().partition("Backward")[0]
    if name == "Sum":
        sizes = list(getattr(node, "_saved_self_sym_sizes", ()))
        return bool(sizes) and sizes[0] == rows
    below = (function for function, _ in node.next_functions)
    return name in {"Add", "Sub", "Neg", "Mul"} and any(
        _adds_rows(b, rows, depth - 1) for b in below
    )
