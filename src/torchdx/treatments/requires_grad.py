"""Parameters that are to learn, learn; those that are to be frozen, are."""

from typing import Any

from torch import nn
from torch.optim import Optimizer

from torchdx.rules.base import Prescription
from torchdx.treatments.base import treatment
from torchdx.treatments.site import Site


@treatment("requires_grad", judged_on="validation")
def install(site: Site, prescription: Prescription) -> None:
    """With a `to`, a module's attribute `requires_grad` becomes a call of `requires_grad_`.

    Without one, an optimizer that holds only frozen parameters has them thawed.
    """
    if prescription.to:
        site.replace(nn.Module, "__setattr__", _Assigned(site))
        return

    def made(optimizer: Optimizer) -> None:
        held = [p for group in optimizer.param_groups for p in group["params"]]
        if any(p.requires_grad for p in held):
            return
        for parameter in held:
            parameter.requires_grad_(requires_grad=True)
        site.done()

    def called(_model: nn.Module, _args: Any, _kwargs: Any) -> None:
        for optimizer in site.optimizers[-1:]:
            made(optimizer)

    site.optimizer_made(made)
    site.before_model(called)


class _Assigned:
    """What an assignment to a module does in place of setting an attribute that nothing reads."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def __call__(self, original: Any, module: nn.Module, name: str, value: Any) -> None:
        if name == "requires_grad" and isinstance(value, bool):
            module.requires_grad_(value)
            self._site.done()
        else:
            original(module, name, value)
