"""Operations kept where they are defined: only elements at a singular point are changed.

Roots of 0 are taken of 1e-12, logarithms of 0 of the smallest normal number, quotients by 0 by
1e-8 (counts: by 1), arc functions at 1 by 1e-6 inside.
"""

from collections.abc import Callable, Iterable
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
    """`where` names the operation: `Sqrt`, `Log`, `Div`, ... Others are left alone.

    The optimizer's own arithmetic, which takes roots of zeros on purpose, is not touched.
    """
    if prescription.where in _FIRST:
        name, change = _FIRST[prescription.where]
        _Stable(site, (name,), change)
    elif prescription.where == "Div":
        _Stable(site, ("div", "divide", "true_divide", "__truediv__"), denominator, position=1)
    elif prescription.where == "Pow":
        _Stable(site, ("pow", "__pow__"), under_root, root=True)


class _Stable:
    """Changes one argument of some functions, where it is singular.

    position   of the argument; `root`: whether only powers below 1 are meant
    """

    def __init__(
        self,
        site: Site,
        names: Iterable[str],
        change: Callable[[torch.Tensor], torch.Tensor],
        *,
        position: int = 0,
        root: bool = False,
    ) -> None:
        self._site, self._change = site, change
        self._position, self._root = position, root
        self._stepping = False
        site.before_step(lambda _: self._step(begins=True))
        site.after_step(lambda _: self._step(begins=False))
        for name in names:
            for owner in (torch, torch.Tensor):
                if hasattr(owner, name):
                    site.replace(owner, name, self._around)

    def _step(self, *, begins: bool) -> None:
        self._stepping = begins

    def _around(self, original: Any, *args: Any, **kwargs: Any) -> Any:
        value = args[self._position] if len(args) > self._position else None
        if not isinstance(value, torch.Tensor) or not self._meant(value, args):
            return original(*args, **kwargs)
        stable = self._change(value)
        if bool((stable == value).all()):
            return original(*args, **kwargs)
        self._site.done()
        return original(*args[: self._position], stable, *args[self._position + 1 :], **kwargs)

    def _meant(self, value: torch.Tensor, args: tuple[Any, ...]) -> bool:
        if self._stepping and not torch.is_grad_enabled():
            return False
        if self._position == 0 and not value.is_floating_point():
            return False
        return not self._root or (isinstance(args[1], float | int) and args[1] < 1)
