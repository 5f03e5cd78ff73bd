"""Operations kept where they are defined: only elements at a singular point are changed.

Roots of 0 are taken of 1e-12, logarithms of 0 of the smallest normal number, quotients by 0 by
1e-8 (counts: by 1), arc functions at 1 by 1e-6 inside.
"""

from typing import Any

import torch

from torchdx.rules.base import Prescription
from torchdx.treatments.base import treatment
from torchdx.treatments.site import Site

UNDER_ROOT, DENOMINATOR, INSIDE = 1e-12, 1e-8, 1 - 1e-6


def under_root(values: torch.Tensor) -> torch.Tensor:
    """The values, zeros replaced by 1e-12: their root is 1e-6, with a finite derivative."""
    return torch.where(values == 0, values + UNDER_ROOT, values)


def under_logarithm(values: torch.Tensor) -> torch.Tensor:
    """The values, not below the smallest normal number of their type."""
    return values.clamp_min(torch.finfo(values.dtype).tiny)


def denominator(values: torch.Tensor) -> torch.Tensor:
    """The values, zeros replaced by 1e-8, those of counts by 1."""
    small = DENOMINATOR if values.is_floating_point() else 1
    return torch.where(values == 0, torch.full_like(values, small), values)


def within(values: torch.Tensor) -> torch.Tensor:
    """The values, not beyond 1 - 1e-6 on either side."""
    return values.clamp(-INSIDE, INSIDE)


_FIRST = {
    "Sqrt": ("sqrt", under_root),
    "Rsqrt": ("rsqrt", under_root),
    "Log": ("log", under_logarithm),
    "Log2": ("log2", under_logarithm),
    "Log10": ("log10", under_logarithm),
    "Acos": ("acos", within),
    "Asin": ("asin", within),
}


@treatment("stable_operation")
def install(site: Site, prescription: Prescription) -> None:
    """`where` names the operation: `Sqrt`, `Log`, `Div`, ... Others are left alone."""
    if prescription.where in _FIRST:
        name, change = _FIRST[prescription.where]
        _each(site, name, change, position=0)
    elif prescription.where == "Div":
        for name in ("div", "divide", "true_divide", "__truediv__"):
            _each(site, name, denominator, position=1)
    elif prescription.where == "Pow":
        for name in ("pow", "__pow__"):
            _each(site, name, under_root, position=0, root=True)


def _each(site: Site, name: str, change: Any, position: int, *, root: bool = False) -> None:
    def around(original: Any, *args: Any, **kwargs: Any) -> Any:
        value = args[position] if len(args) > position else None
        real = isinstance(value, torch.Tensor) and not value.is_complex()
        if not real or (position == 0 and not value.is_floating_point()):  # type: ignore[union-attr]
            return original(*args, **kwargs)
        if root and not (isinstance(args[1], float | int) and args[1] < 1):
            return original(*args, **kwargs)
        stable = change(value)
        if bool((stable == value).all()):
            return original(*args, **kwargs)
        site.done()
        return original(*args[:position], stable, *args[position + 1 :], **kwargs)

    for owner in (torch, torch.Tensor):
        if hasattr(owner, name):
            site.replace(owner, name, around)
