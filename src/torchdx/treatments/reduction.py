"""A mean in place of a sum: the loss of a batch, whatever its size, weighs as one row's.

Torch's own losses are asked for `reduction="mean"`; a sum written by hand is divided by the rows of
the batch before backward.
"""

from typing import Any

import torch
from torch import nn

from torchdx.rules.base import Prescription
from torchdx.treatments.base import treatment
from torchdx.treatments.site import Site


@treatment("reduction")
def install(site: Site, prescription: Prescription) -> None:
    """`reduction="sum"` becomes a mean; else the sum is divided by the rows last seen."""
    del prescription
    rows, meant = [0], [False]

    def around(_name: str, original: Any, arguments: dict[str, Any]) -> torch.Tensor:
        if arguments.get("reduction") == "sum" or arguments.get("size_average") is False:
            arguments.pop("size_average", None)
            arguments["reduction"] = "mean"
            meant[0] = True
            site.done()
        loss: torch.Tensor = original(**arguments)
        return loss

    def seen(_model: nn.Module, args: Any, kwargs: Any) -> None:
        tensors = [v for v in (*args, *kwargs.values()) if isinstance(v, torch.Tensor) and v.dim()]
        rows[0] = len(tensors[0]) if tensors and torch.is_grad_enabled() else rows[0]

    def before(root: torch.Tensor) -> torch.Tensor | None:
        if meant[0] or not rows[0]:
            return None
        site.done()
        return root / rows[0]

    site.losses(around)
    site.before_model(seen)
    site.before_backward(before)
