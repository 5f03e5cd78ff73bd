"""The terms of a loss beside the one that asks for the labels, weighed down.

The loss is `s L + rest`, where L is what torch's loss function returned. The factor s is the
derivative of the whole by L, so that `w rest + s L` can be had without knowing the rest.
"""

from typing import Any

import torch

from torchdx.events.guard import resting
from torchdx.rules.base import Prescription
from torchdx.treatments.base import factor, treatment
from torchdx.treatments.site import Site

_FUNCTIONS = {
    "NllLoss": ("cross_entropy", "nll_loss"),
    "NllLoss2D": ("cross_entropy", "nll_loss"),
    "BinaryCrossEntropyWithLogits": ("binary_cross_entropy_with_logits",),
    "BinaryCrossEntropy": ("binary_cross_entropy",),
    "MseLoss": ("mse_loss",),
    "SmoothL1Loss": ("smooth_l1_loss",),
    "HuberLoss": ("huber_loss",),
}


def reweighed(root: torch.Tensor, term: torch.Tensor, by: float) -> torch.Tensor | None:
    """A loss whose terms other than `term` are weighed by a number.

    Args:
        root: the whole loss, a scalar that contains `term` once, times any number.
        term: the scalar that stays as it is.
        by: what all else is multiplied by.

    Returns:
        None where the loss does not depend on the term.
    """
    with resting():
        (scale,) = torch.autograd.grad(root, term, retain_graph=True, allow_unused=True)
    return None if scale is None else by * root + (1 - by) * scale.detach() * term


@treatment("loss_weights", redefines=True)
def install(site: Site, prescription: Prescription) -> None:
    """`where`: the operation of the labels' term (`NllLoss`); `to`: the weight of the others."""
    by = factor(prescription.to, 0.1)
    wanted = _FUNCTIONS.get(prescription.where, ())
    last: list[torch.Tensor] = []  # until its backward pass

    def around(name: str, original: Any, arguments: dict[str, Any]) -> torch.Tensor:
        loss: torch.Tensor = original(**arguments)
        if name in wanted and loss.requires_grad and loss.numel() == 1:
            last[:] = [loss]
        return loss

    def before(root: torch.Tensor) -> torch.Tensor | None:
        term = last.pop() if last else None
        if term is None or term is root:
            return None
        changed = reweighed(root, term, by)
        if changed is not None:
            site.done()
        return changed

    site.losses(around)
    site.before_backward(before)
