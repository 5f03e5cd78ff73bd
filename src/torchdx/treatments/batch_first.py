"""Rows first: recurrent layers and attention that took the rows of a batch for positions."""

from torch import nn

from torchdx.rules.base import Prescription
from torchdx.treatments.base import treatment
from torchdx.treatments.site import Site


def set_batch_first(module: nn.Module) -> int:
    """Set `batch_first` in all parts of a module that have it otherwise; returns how many."""
    parts = [m for m in module.modules() if getattr(m, "batch_first", None) is False]
    for part in parts:
        vars(part)["batch_first"] = True
    return len(parts)


@treatment("batch_first")
def install(site: Site, prescription: Prescription) -> None:
    """Of the module that `where` names; of the whole model, where it names none."""

    def first(model: nn.Module) -> None:
        part = site.module(model, prescription.where) if prescription.where else model
        for _ in range(set_batch_first(part) if part is not None else 0):
            site.done()

    site.first_call(first)
