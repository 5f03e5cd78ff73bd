"""Layer-sequential unit variance: every layer's outputs begin with a deviation of one.

Mishkin and Matas 2016, All you need is a good init (arXiv 1511.06422): orthogonal weights, then, in
the order of the forward pass, each divided by the deviation of what it puts out.
"""

import contextlib
import zlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from torchdx.rules.base import Prescription
from torchdx.treatments.base import treatment
from torchdx.treatments.site import Site

TINY = 1e-8
LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def lsuv(model: nn.Module, *args: Any, **kwargs: Any) -> int:
    """Begin the linear and convolution layers of a model anew; returns how many were met.

    The model is called once with the arguments, in evaluation mode, without gradients. With its
    bias at 0 a layer's output is proportional to its weight, so that one pass is exact. The
    program's random numbers are left as they are.

    lsuv(model, images)

    Args:
        model: changed in place.
        *args: a batch as the model takes it.
        **kwargs: likewise.
    """
    met: list[nn.Module] = []
    names = dict(model.named_modules())
    handles = [
        module.register_forward_hook(_scaling(name, met))
        for name, module in names.items()
        if isinstance(module, LAYERS)
    ]
    try:
        with torch.no_grad(), _judging(model), torch.random.fork_rng(devices=[]):
            model(*args, **kwargs)
    finally:
        for handle in handles:
            handle.remove()
    return len(met)


def _scaling(name: str, met: list[nn.Module]) -> Any:
    def hook(module: Any, args: Any, _output: torch.Tensor) -> Any:
        if any(module is other for other in met):
            return None
        generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
        drawn = torch.randn(module.weight.shape, generator=generator)
        module.weight.copy_(_orthogonal(drawn.flatten(1)).view_as(module.weight))
        if module.bias is not None:
            module.bias.zero_()
        met.append(module)
        output = module.forward(*args)
        deviation = float(output.std())
        if not deviation > TINY:
            return output
        module.weight.div_(deviation)
        return output / deviation

    return hook


def _orthogonal(matrix: torch.Tensor) -> torch.Tensor:
    """Rows, or columns where there are fewer, at right angles and of length one."""
    tall = matrix.T if matrix.shape[0] < matrix.shape[1] else matrix
    basis, r = torch.linalg.qr(tall)
    q: torch.Tensor = basis * r.diagonal().sign()
    return q.T if matrix.shape[0] < matrix.shape[1] else q


@contextlib.contextmanager
def _judging(model: nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


@treatment("lsuv")
def install(site: Site, prescription: Prescription) -> None:
    """Each model that learns, with the batch of its first call that records gradients."""
    del prescription
    begun: list[nn.Module] = []

    def before(model: nn.Module, args: Any, kwargs: Any) -> None:
        if any(model is other for other in begun) or not torch.is_grad_enabled():
            return
        if site.optimizers:
            begun.append(model)
            if lsuv(model, *args, **kwargs):
                site.done()

    site.before_model(before)
