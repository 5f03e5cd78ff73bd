"""The loss times a number, before backward: `(loss / 8).backward()`."""

import torch

from torchdx.rules.base import Prescription
from torchdx.treatments.base import factor, treatment
from torchdx.treatments.site import Site


@treatment("loss_scale", redefines=True)
def install(site: Site, prescription: Prescription) -> None:
    """By the number that the prescription names: `1/8`."""
    by = factor(prescription.to, 1.0)

    def before(root: torch.Tensor) -> torch.Tensor | None:
        if by == 1:
            return None
        site.done()
        return root * by

    site.before_backward(before)
