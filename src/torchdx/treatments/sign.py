"""What is made to rise is made to fall.

The sign is changed where backward begins; where other terms (a penalty) were added to the loss with
their own right sign, at torch's own loss function.
"""

from typing import Any

import torch

from torchdx.rules.base import Prescription
from torchdx.treatments.base import treatment
from torchdx.treatments.site import Site


@treatment("sign", redefines=True)
def install(site: Site, prescription: Prescription) -> None:
    """`where` says which: `term` for torch's loss functions, else the whole loss."""

    def around(_name: str, original: Any, arguments: dict[str, Any]) -> torch.Tensor:
        loss: torch.Tensor = original(**arguments)
        if not loss.requires_grad:
            return loss
        site.done()
        return -loss

    def before(root: torch.Tensor) -> torch.Tensor:
        site.done()
        return -root

    if prescription.where == "term":
        site.losses(around)
    else:
        site.before_backward(before)
