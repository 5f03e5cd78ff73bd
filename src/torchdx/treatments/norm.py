"""Inputs of layers brought to one size: a norm that learns nothing, in front of each."""

import weakref
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from torchdx.rules.base import Prescription
from torchdx.treatments.base import treatment
from torchdx.treatments.site import Site

CHANNELS = 3  # dimensions from which on (rows, channels, ...) is meant


def normalised(x: torch.Tensor) -> torch.Tensor:
    """Each row less its mean, over its deviation (rows, ...): layer norm without weights.

    Of convolutions' inputs (rows, channels, ...) all channels together, as GroupNorm(1) has it.
    """
    return functional.layer_norm(x, x.shape[1:] if x.dim() > CHANNELS else x.shape[-1:])


@treatment("norm")
def install(site: Site, prescription: Prescription) -> None:
    """`where` lists the layers."""
    places = [place.strip() for place in prescription.where.split(",") if place.strip()]
    layers: weakref.WeakSet[nn.Module] = weakref.WeakSet()

    def first(model: nn.Module) -> None:
        found = (site.module(model, place) for place in places)
        layers.update(layer for layer in found if layer is not None)

    def before(module: nn.Module, args: Any, kwargs: Any) -> tuple[Any, Any] | None:
        real = bool(args) and isinstance(args[0], torch.Tensor) and args[0].is_floating_point()
        if not real or module not in layers:
            return None
        site.done()
        return (normalised(args[0]), *args[1:]), kwargs

    site.first_call(first)
    site.before_module(before)
