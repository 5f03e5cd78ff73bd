"""The squared error of a standardised quantity, where a loss for yes and no was given it.

Classes that are levels of a quantity cannot be changed from here: the net has an output for each.
"""

from typing import Any

import torch
from torch.nn import functional

from torchdx.rules.base import Prescription
from torchdx.treatments.base import treatment
from torchdx.treatments.scale_targets import moments, standardised
from torchdx.treatments.site import Site
from torchdx.treatments.undo_sigmoid import as_logits


@treatment("squared_error", redefines=True)
def install(site: Site, prescription: Prescription) -> None:
    """For binary cross-entropies; `to` holds the targets' mean and deviation."""
    known = moments(prescription.to)

    def around(name: str, original: Any, arguments: dict[str, Any]) -> torch.Tensor:
        given, target = arguments["input"], arguments["target"]
        if known and name.startswith("binary_cross_entropy") and given.shape == target.shape:
            scores = given if name.endswith("with_logits") else as_logits(given)
            site.done()
            return functional.mse_loss(scores, standardised(target, *known).to(scores.dtype))
        loss: torch.Tensor = original(**arguments)
        return loss

    site.losses(around)
