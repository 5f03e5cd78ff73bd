"""Judging in evaluation mode: nothing is dropped, norms use their running statistics."""

from typing import Any

import torch
from torch import nn

from torchdx.rules.base import Prescription
from torchdx.treatments.base import treatment
from torchdx.treatments.modes import Switch
from torchdx.treatments.site import Site


@treatment("eval_mode", draws=True, judged_on="validation")
def install(site: Site, prescription: Prescription) -> None:
    """Calls without gradients run in evaluation mode; the model's mode is put back behind them."""
    switch = Switch(site, training=False, where=prescription.where)

    def before(model: nn.Module, _args: Any, _kwargs: Any) -> None:
        if not torch.is_grad_enabled():
            switch.turn(model)

    site.before_model(before)
    site.after_model(switch.back)
