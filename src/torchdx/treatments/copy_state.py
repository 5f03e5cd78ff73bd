"""State dicts of their own: tensors that later steps do not change."""

from typing import Any

import torch
from torch import nn

from torchdx.rules.base import Prescription
from torchdx.treatments.base import treatment
from torchdx.treatments.site import Site


def own(state: dict[str, Any]) -> dict[str, Any]:
    """Put a copy in place of each tensor of a state dict; returns the dict itself."""
    for name, value in state.items():
        if isinstance(value, torch.Tensor):
            state[name] = value.detach().clone()
    return state


@treatment("copy_state", judged_on="validation")
def install(site: Site, prescription: Prescription) -> None:
    """Of the model that `where` names, and of all where it names none."""
    depth = [0]

    def around(original: Any, model: nn.Module, *args: Any, **kwargs: Any) -> Any:
        depth[0] += 1
        try:
            state = original(model, *args, **kwargs)
        finally:
            depth[0] -= 1
        inside = depth[0] or args or kwargs.get("destination") is not None
        if inside or kwargs.get("keep_vars") or not _meant(site, model, prescription.where):
            return state
        site.done()
        return own(state)

    site.replace(nn.Module, "state_dict", around)


def _meant(site: Site, model: nn.Module, where: str) -> bool:
    return not where or site.module(model, where) is not None
