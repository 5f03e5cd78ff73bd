"""Each prediction against its own target, where (n, 1) meets (n,) and would be spread to (n, n)."""

from typing import Any

import torch

from torchdx.rules.base import Prescription
from torchdx.treatments.base import treatment
from torchdx.treatments.differences import Difference, differences
from torchdx.treatments.site import Site

PAIRED = frozenset({"mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"})


def in_shape(target: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
    """The target in the shape of the predictions, where they differ by dimensions of 1 alone.

    Shapes (n, 1) and (n,), or (n,) and (n, 1); anything else is returned as it is.
    """
    rows = given.numel()
    if rows < 2 or rows != target.numel() or given.shape == target.shape:  # noqa: PLR2004
        return target
    flat = [tuple(n for n in t.shape if n != 1) for t in (given, target)]
    last = given.shape[-1] == 1, target.shape[-1] == 1
    crossed = flat[0] == flat[1] == (rows,) and last[0] != last[1]
    return target.reshape(given.shape) if crossed else target


@treatment("same_shape", redefines=True)
def install(site: Site, prescription: Prescription) -> None:
    """In torch's losses, with and without gradients, and in differences written by hand."""
    del prescription

    def around(name: str, original: Any, arguments: dict[str, Any]) -> torch.Tensor:
        given, target = arguments["input"], arguments["target"]
        if name in PAIRED:
            arguments["target"] = in_shape(target, given)
            if arguments["target"] is not target:
                site.done()
        loss: torch.Tensor = original(**arguments)
        return loss

    def seen(difference: Difference) -> torch.Tensor | None:
        reshaped = in_shape(difference.target, difference.given)
        plain = {difference.given.dim(), difference.target.dim()} == {1, 2}
        if reshaped is difference.target or not plain:
            return None
        site.done()
        return reshaped

    site.losses(around)
    differences(site, seen)
