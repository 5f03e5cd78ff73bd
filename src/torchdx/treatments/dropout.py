"""Weaker dropout: the share that is dropped, times a number."""

from torch import nn
from torch.nn.modules.dropout import _DropoutNd

from torchdx.rules.base import Prescription
from torchdx.treatments.base import factor, treatment
from torchdx.treatments.site import Site


def weaken(model: nn.Module, by: float) -> int:
    """Scale the shares of all dropout in a model, that inside recurrent layers too.

    Returns how many parts were changed. As many random numbers are drawn as before.
    """
    changed = 0
    for module in model.modules():
        name = "p" if isinstance(module, _DropoutNd) else "dropout"
        share = getattr(module, name, None)
        if isinstance(share, float) and share > 0:
            setattr(module, name, share * by)
            changed += 1
    return changed


@treatment("dropout")
def install(site: Site, prescription: Prescription) -> None:
    """Of the part that `where` names; of the whole model, where that is no part of it."""
    by = factor(prescription.to, 0.5)

    def first(model: nn.Module) -> None:
        part = site.module(model, prescription.where) if prescription.where else None
        for _ in range(weaken(part or model, by)):
            site.done()

    site.first_call(first)
