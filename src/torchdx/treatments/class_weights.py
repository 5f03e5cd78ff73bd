"""The loss without weights of classes: every row counts alike."""

from typing import Any

import torch

from torchdx.rules.base import Prescription
from torchdx.treatments.base import treatment
from torchdx.treatments.site import Site

_WEIGHTS = {
    "cross_entropy": "weight",
    "nll_loss": "weight",
    "binary_cross_entropy_with_logits": "pos_weight",
}


@treatment("class_weights", redefines=True)
def install(site: Site, prescription: Prescription) -> None:
    """Weights of classes and of positive rows; those of single rows stay."""
    del prescription

    def around(name: str, original: Any, arguments: dict[str, Any]) -> torch.Tensor:
        if arguments.get(_WEIGHTS.get(name, "")) is not None:
            del arguments[_WEIGHTS[name]]
            site.done()
        loss: torch.Tensor = original(**arguments)
        return loss

    site.losses(around)
