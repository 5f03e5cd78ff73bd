"""Another momentum of running statistics: the weight of the new batch in them."""

from torch import nn

from torchdx.rules.base import Prescription
from torchdx.treatments.base import factor, treatment
from torchdx.treatments.site import Site

USUAL = 0.1  # torch's own


def set_momentum(model: nn.Module, momentum: float, instead_of: float | None) -> int:
    """Give a momentum to all norms of a model that have another; returns how many.

    Args:
        model: its norms with running statistics are changed.
        momentum: 0 to 1, the weight of the new batch.
        instead_of: what they have now; None: a mean over all batches.
    """
    changed = 0
    for module in model.modules():
        statistics = getattr(module, "running_mean", None) is not None
        if statistics and vars(module).get("momentum", instead_of) == instead_of != momentum:
            vars(module)["momentum"] = momentum
            changed += 1
    return changed


@treatment("norm_momentum", judged_on="validation")
def install(site: Site, prescription: Prescription) -> None:
    """Of the norm that `where` names, and of those with the same momentum."""
    momentum = factor(prescription.to, USUAL)

    def first(model: nn.Module) -> None:
        norm = site.module(model, prescription.where)
        if norm is not None:
            for _ in range(set_momentum(model, momentum, vars(norm).get("momentum"))):
                site.done()

    site.first_call(first)
