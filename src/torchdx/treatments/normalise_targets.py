"""Target rows that are shares: none below 0, together one."""

from typing import Any

import torch

from torchdx.rules.base import Prescription
from torchdx.treatments.base import treatment
from torchdx.treatments.site import Site

ROUNDING = 0.01  # by which a row may miss one


def as_shares(target: torch.Tensor) -> torch.Tensor:
    """Targets (rows, classes, ...) made to sum to one over dimension 1.

    Rows are divided by their sum; where some values are below 0 they are scores, and their softmax
    is taken. Rows of zeros stay. Targets that are shares already are returned themselves.
    """
    dim = 1 if target.dim() > 1 else 0
    with torch.no_grad():
        if bool((target < -ROUNDING).any()):
            return torch.softmax(target, dim)
        sums = target.sum(dim, keepdim=True)
        if bool(((sums - 1).abs() <= ROUNDING).all()):
            return target
        return target / torch.where(sums > 0, sums, torch.ones_like(sums))


@treatment("normalise_targets", redefines=True)
def install(site: Site, prescription: Prescription) -> None:
    """Of cross-entropies that are given a share for each class."""
    del prescription

    def around(name: str, original: Any, arguments: dict[str, Any]) -> torch.Tensor:
        target = arguments["target"]
        if name == "cross_entropy" and target.is_floating_point():
            arguments["target"] = as_shares(target)
            if arguments["target"] is not target:
                site.done()
        loss: torch.Tensor = original(**arguments)
        return loss

    site.losses(around)
