"""Dropout that rests in evaluation, wherever the program calls it as a function."""

import inspect
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from torchdx.rules.base import Prescription
from torchdx.treatments.base import treatment
from torchdx.treatments.site import Site

_FUNCTIONS = ("dropout", "alpha_dropout", "dropout1d", "dropout2d", "dropout3d",
              "feature_alpha_dropout")  # fmt: skip
_ATTENTION = "scaled_dot_product_attention"


@treatment("dropout_switch", draws=True, judged_on="validation")
def install(site: Site, prescription: Prescription) -> None:
    """Off inside a model that is in evaluation mode; in training it stays as it is."""
    del prescription
    resting = [False]

    def entering(model: nn.Module, _args: Any, _kwargs: Any) -> None:
        resting[0] = not model.training

    def left(_model: nn.Module, answer: Any) -> Any:
        resting[0] = False
        return answer

    for name in _FUNCTIONS:
        signature = inspect.signature(getattr(functional, name))

        def around(
            original: Any, *args: Any, _signature: inspect.Signature = signature, **kwargs: Any
        ) -> Any:
            bound = _signature.bind(*args, **kwargs)
            bound.apply_defaults()
            if resting[0] and bound.arguments["training"]:
                bound.arguments["training"] = False
                site.done()
            return original(*bound.args, **bound.kwargs)

        site.replace(functional, name, around)

    def attending(original: Any, *args: Any, **kwargs: Any) -> Any:
        share = 4  # which argument `dropout_p` is
        given = args[share] if len(args) > share else kwargs.get("dropout_p", 0.0)
        if not resting[0] or not given:
            return original(*args, **kwargs)
        site.done()
        if len(args) > share:
            args = (*args[:share], 0.0, *args[share + 1 :])
        else:
            kwargs = {**kwargs, "dropout_p": 0.0}
        return original(*args, **kwargs)

    site.replace(functional, _ATTENTION, attending)
    site.replace(torch, "dropout", _by_hand(site, resting))
    site.before_model(entering)
    site.after_model(left)


def _by_hand(site: Site, resting: list[bool]) -> Any:
    """For `torch.dropout(input, p, train)`."""

    def around(original: Any, *args: Any, **kwargs: Any) -> Any:
        last = 2
        if resting[0] and len(args) > last and args[last]:
            site.done()
            args = (*args[:last], False)
        return original(*args, **kwargs)

    return around
