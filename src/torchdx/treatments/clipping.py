"""Looser clipping: the limits that the program gives to torch's functions, times a number."""

import inspect
from typing import Any

import torch

from torchdx.rules.base import Prescription
from torchdx.treatments.base import factor, treatment
from torchdx.treatments.site import Site

_LIMITS = {"clip_grad_norm_": "max_norm", "clip_grad_value_": "clip_value"}


@treatment("clipping")
def install(site: Site, prescription: Prescription) -> None:
    """Both functions, wherever they are imported from once the program has begun."""
    by = factor(prescription.to, 10.0)
    site.in_front(lambda: _loosen(site, by))


def _loosen(site: Site, by: float) -> None:
    inner = torch.nn.utils.clip_grad
    for name, limit in _LIMITS.items():
        signature = inspect.signature(getattr(inner, name))

        def around(
            original: Any,
            *args: Any,
            _limit: str = limit,
            _signature: inspect.Signature = signature,
            **kwargs: Any,
        ) -> Any:
            arguments = _signature.bind(*args, **kwargs).arguments
            arguments[_limit] = arguments[_limit] * by
            site.done()
            return original(**arguments)

        for owner in (inner, torch.nn.utils):
            site.replace(owner, name, around)
