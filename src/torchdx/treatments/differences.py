"""Differences of answers and data that a program takes by hand. No treatment: two of them look."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from torchdx.treatments.site import Site


@dataclass(frozen=True)
class Difference:
    """What was subtracted: `given` is the side that gradients flow to, `target` the other."""

    given: torch.Tensor
    target: torch.Tensor


def differences(site: Site, seen: Callable[[Difference], torch.Tensor | None]) -> None:
    """`seen(difference)` of every `answer - data`; a target that it returns is taken instead."""

    def minus(original: Any, left: Any, right: Any, *args: Any, **kwargs: Any) -> Any:
        if args or kwargs or not torch.is_grad_enabled():
            return original(left, right, *args, **kwargs)
        if not isinstance(left, torch.Tensor) or not isinstance(right, torch.Tensor):
            return original(left, right)
        if left.requires_grad and not right.requires_grad:
            other = seen(Difference(left, right))
            return original(left, right if other is None else other)
        if right.requires_grad and not left.requires_grad:
            other = seen(Difference(right, left))
            return original(left if other is None else other, right)
        return original(left, right)

    for owner, name in ((torch.Tensor, "__sub__"), (torch.Tensor, "sub"), (torch, "sub")):
        site.replace(owner, name, minus)
