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
    differ = given.shape != target.shape and given.numel() == target.numel() > 1
    flat = [[n for n in t.shape if n != 1] for t in (given, target)]
    crossed = differ and len(flat[0]) == 1 and flat[0] == flat[1]
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
        if reshaped is difference.target or 2 not in (  # noqa: PLR2004
            difference.given.dim(),
            difference.target.dim(),
        ):
            return None
        site.done()
        return reshaped

    site.losses(around)
    differences(site, seen)
