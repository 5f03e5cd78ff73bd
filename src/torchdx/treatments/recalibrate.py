"""Running statistics taken anew, from the batches that the program trained on last.

As `torch.optim.swa_utils.update_bn` does for averaged weights (Izmailov et al. 2018, Averaging
Weights Leads to Wider Optima and Better Generalization, arXiv 1803.05407, section 3.2).
"""

from collections import deque
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

from torchdx.events.guard import at_work
from torchdx.rules.base import Prescription
from torchdx.treatments.base import treatment
from torchdx.treatments.site import Site

BATCHES = 16


def recalibrate(model: nn.Module, batches: Iterable[tuple[Any, Any]]) -> int:
    """Set the running statistics of all norms to the mean over batches; returns how many norms.

    Only norms are in training mode meanwhile: no random numbers are drawn by dropout.

    recalibrate(model, [((images,), {})])

    Args:
        model: its norms with running statistics are changed.
        batches: arguments as the model takes them, `(args, kwargs)` each.
    """
    norms = [m for m in model.modules() if getattr(m, "running_mean", None) is not None]
    modes = [(module, module.training) for module in model.modules()]
    momenta = [vars(norm).get("momentum") for norm in norms]
    try:
        model.eval()
        for norm in norms:
            norm.reset_running_stats()  # type: ignore[operator]
            vars(norm)["momentum"] = None  # a mean over all batches
            norm.training = True
        with torch.no_grad():
            for args, kwargs in batches:
                model(*args, **kwargs)
    finally:
        for module, training in modes:
            module.training = training
        for norm, momentum in zip(norms, momenta, strict=True):
            vars(norm)["momentum"] = momentum
    return len(norms)


@treatment("recalibrate", judged_on="validation")
def install(site: Site, prescription: Prescription) -> None:
    """Before the first call in evaluation mode behind steps, from the last training batches."""
    del prescription
    state = _Recent(site)
    site.before_model(state.called)
    site.after_step(state.stepped)


class _Recent:
    """The latest training batches of the model that has norms."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._batches: deque[tuple[nn.Module, Any, Any]] = deque(maxlen=BATCHES)
        self._old = False
        self._busy = False

    def stepped(self, _optimizer: Any) -> None:
        self._old = True

    def called(self, model: nn.Module, args: Any, kwargs: Any) -> None:
        if self._busy:
            return
        if model.training and torch.is_grad_enabled() and not at_work():
            copied = pytree.tree_map(_copied, (args, kwargs))
            self._batches.append((model, *copied))
            return
        own = [(a, k) for m, a, k in self._batches if m is model]
        if model.training or not self._old or not own:
            return
        self._old, self._busy = False, True
        try:
            if recalibrate(model, own):
                self._site.done()
        finally:
            self._busy = False


def _copied(value: Any) -> Any:
    return value.detach().clone() if isinstance(value, torch.Tensor) else value
