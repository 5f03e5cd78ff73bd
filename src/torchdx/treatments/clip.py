"""Gradients no longer than a limit: generic advice, and a control that cures have to beat."""

import torch
from torch.optim import Optimizer

from torchdx.rules.base import Prescription
from torchdx.treatments.base import factor, treatment
from torchdx.treatments.site import Site

_CLIP = torch.nn.utils.clip_grad_norm_  # torch's own, whatever watches it later


@treatment("clip", kin="step size")
def install(site: Site, prescription: Prescription) -> None:
    """Clip the norm over all parameters of an optimizer at `to` before each of its updates."""
    limit = factor(prescription.to, 1.0)

    def ready(optimizer: Optimizer) -> None:
        held = [p for group in optimizer.param_groups for p in group["params"]]
        if float(_CLIP(held, limit)) > limit:
            site.done()

    site.gradients_ready(ready)
