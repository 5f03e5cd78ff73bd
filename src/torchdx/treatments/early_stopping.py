"""Learning ends after so many validations: the steps behind them leave the weights alone."""

from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from torchdx.rules.base import Prescription
from torchdx.treatments.base import treatment
from torchdx.treatments.site import Site


@treatment("early_stopping", judged_on="validation")
def install(site: Site, prescription: Prescription) -> None:
    """After `to` passes without gradients; the program itself goes on to its end."""
    passes = int(prescription.to) if prescription.to.isdigit() else 0
    if not passes:
        return
    state = _Passes(site, passes)
    site.before_model(state.called)
    site.before_step(state.stepping)
    site.gradients_ready(state.ready)
    site.after_step(state.stepped)


class _Passes:
    """Validation passes so far, and gradients that a step is not to see."""

    def __init__(self, site: Site, most: int) -> None:
        self._site, self._most = site, most
        self._count = 0
        self._stepped = False
        self._hidden: list[tuple[nn.Parameter, torch.Tensor]] = []

    def called(self, _model: nn.Module, _args: Any, _kwargs: Any) -> None:
        if self._stepped and not torch.is_grad_enabled():
            self._stepped = False
            self._count += 1

    def stepping(self, _optimizer: Optimizer) -> None:
        self._put_back()  # the step before it may have raised

    def ready(self, optimizer: Optimizer) -> None:
        if self._count < self._most:
            return
        held = (p for group in optimizer.param_groups for p in group["params"])
        self._hidden += [(p, p.grad) for p in held if p.grad is not None]
        for parameter, _ in self._hidden:
            parameter.grad = None
        self._site.done()

    def stepped(self, _optimizer: Optimizer) -> None:
        self._put_back()
        self._stepped = True

    def _put_back(self) -> None:
        for parameter, gradient in self._hidden:
            parameter.grad = gradient
        self._hidden = []
