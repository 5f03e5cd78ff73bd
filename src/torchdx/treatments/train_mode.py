"""Training in training mode: dropout drops, and norms use and learn the statistics of batches."""

from typing import Any

import torch
from torch import nn

from torchdx.events.guard import at_work
from torchdx.rules.base import Prescription
from torchdx.treatments.base import treatment
from torchdx.treatments.modes import Switch
from torchdx.treatments.site import Site


@treatment("train_mode", draws=True, judged_on="validation")
def install(site: Site, prescription: Prescription) -> None:
    """Calls that record gradients run in training mode; the model's mode is put back behind them.

    Only while the program trains: from the first optimizer on.
    """
    switch = Switch(site, training=True, where=prescription.where)

    def wanted(model: nn.Module) -> bool:
        if at_work():  # an examination, or a probe
            return False
        learns = any(p.requires_grad for p in model.parameters())
        return torch.is_grad_enabled() and learns and bool(site.optimizers)

    def before(model: nn.Module, _args: Any, _kwargs: Any) -> None:
        if wanted(model):
            switch.turn(model)

    site.before_model(before)
    site.after_model(switch.back)
