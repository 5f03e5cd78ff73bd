"""Fresh weights of the size that keeps a signal's, drawn from a generator of their own."""

import math
import zlib
from typing import Any

import torch
from torch import nn

from torchdx.rules.base import Prescription
from torchdx.treatments.base import treatment
from torchdx.treatments.site import Site

MATRIX = 2  # dimensions


def he_normal(weight: torch.Tensor, name: str, gain: float = math.sqrt(2.0)) -> None:
    """Draw a weight anew: mean 0, deviation gain / sqrt(inputs of a unit).

    He et al. 2015, Delving Deep into Rectifiers (arXiv 1502.01852), equation 10. The numbers depend
    on `name` alone, and the program's own generators are left as they are.

    Args:
        weight: (outputs, inputs, ...), changed in place.
        name: what seeds the generator.
        gain: root of 2 before a ReLU, 1 before nothing (as Xavier's, of a square weight).
    """
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    drawn = torch.randn(weight.shape, generator=generator, dtype=torch.float32)
    inputs = math.prod(weight.shape[1:])
    with torch.no_grad():
        weight.copy_(drawn * (gain / math.sqrt(max(1, inputs))))


def xavier_normal(weight: torch.Tensor, name: str) -> None:
    """As `he_normal`, of deviation root of 2 / (inputs + outputs), whichever way it is laid out.

    Glorot and Bengio 2010, Understanding the difficulty of training deep feedforward neural
    networks, equation 16.
    """
    inputs, outputs = weight.shape[1:].numel(), weight.shape[0]
    he_normal(weight, name, math.sqrt(2.0 * inputs / (inputs + outputs)))


def redraw(module: nn.Module, name: str) -> int:
    """Draw the weights that a module itself holds by `he_normal`, biases 0; returns how many.

    Norms and what else has weights of one dimension only are left alone.
    """
    own = dict(module.named_parameters(recurse=False))
    weights = {k: p for k, p in own.items() if p.dim() >= MATRIX}
    for key, weight in weights.items():
        if "weight" in key:
            he_normal(weight, f"{name}.{key}")
        else:  # `x @ w` or `x @ w.T`: its form does not tell
            xavier_normal(weight, f"{name}.{key}")
    for key, parameter in own.items():
        if weights and key not in weights and "bias" in key:
            nn.init.zeros_(parameter)
    return len(weights)


@treatment("reinit")
def install(site: Site, prescription: Prescription) -> None:
    """`where` lists layers, or weights that no layer holds.

    As late as can be: before the first call that records gradients once there is an optimizer, so
    that nothing that the program sets up comes after it.
    """
    places = [place.strip() for place in prescription.where.split(",")]
    drawn: set[str] = set()

    def before(model: nn.Module, _args: Any, _kwargs: Any) -> None:
        if len(drawn) == len(places) or not (torch.is_grad_enabled() and site.optimizers):
            return
        named = dict(site.parameters(model))
        for place in (p for p in places if p not in drawn):
            module = site.module(model, place)
            if module is not None and redraw(module, place):
                drawn.add(place)
                site.done()
            elif place in named:
                xavier_normal(named[place], place)
                drawn.add(place)
                site.done()

    site.before_model(before)
