"""Parameters that no optimizer holds are given to the one that steps, with its settings."""

import weakref
from typing import Any

from torch import nn
from torch.optim import Optimizer

from torchdx.rules.base import Prescription
from torchdx.treatments.base import treatment
from torchdx.treatments.site import Site


def adopt(optimizer: Optimizer, parameters: list[nn.Parameter]) -> int:
    """Add parameters that are not yet there to an optimizer's last group; returns how many.

    A group of their own would break schedulers, which count the groups when they are made.
    """
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    new = [p for p in parameters if id(p) not in held]
    optimizer.param_groups[-1]["params"].extend(new)
    return len(new)


@treatment("optimizer_parameters")
def install(site: Site, prescription: Prescription) -> None:
    """Before a step: those that have a gradient, of the models called since the last one.

    `where` names the parameters that are meant, or the optimizer; what another one holds is left
    to it.
    """
    where = prescription.where
    named = set() if where.startswith("optimizer ") else {n.strip() for n in where.split(",")}
    called: weakref.WeakSet[nn.Module] = weakref.WeakSet()

    def seen(model: nn.Module, _args: Any, _kwargs: Any) -> None:
        called.add(model)

    def ready(optimizer: Optimizer) -> None:
        held = {id(p) for o in site.optimizers for g in o.param_groups for p in g["params"]}
        left = [
            parameter
            for model in called
            for name, parameter in site.parameters(model)
            if parameter.grad is not None
            and id(parameter) not in held
            and (not named or name in named)
        ]
        called.clear()
        if left and site.meant(optimizer, where) and adopt(optimizer, left):
            site.done()

    site.before_model(seen)
    site.gradients_ready(ready)
