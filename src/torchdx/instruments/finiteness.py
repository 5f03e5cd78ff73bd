"""Looks for values that are not finite: in losses, gradients, weights, batches."""

import cmath
import math
from collections.abc import Iterable
from typing import Any

import torch

from torchdx.instruments.tensors import real_of


def value_of(root: Any) -> float | torch.Tensor | None:
    """A loss's value: read where that waits for nothing, else still on its device."""
    if not isinstance(root, torch.Tensor) or root.numel() != 1 or not root.is_floating_point():
        return None
    return float(root.item()) if at_hand(root) else root.detach()


def at_hand(tensor: torch.Tensor) -> bool:
    """Whether reading a value waits for nothing."""
    return tensor.device.type == "cpu"


def _plain(gradient: Any) -> bool:
    return type(gradient) is torch.Tensor and gradient.layout is torch.strided


def finite_gradients(leaves: Iterable[Any]) -> bool | torch.Tensor | None:
    """Whether all gradients are finite; of another device the sum that shows it."""
    given = [leaf.grad for leaf in leaves if _plain(leaf.grad)]
    if not given:
        return None
    if all(map(at_hand, given)):
        total = sum(gradient.sum().item() for gradient in given)
        return cmath.isfinite(total) or not any(map(is_bad, given))
    first = given[0].device
    sums = [real_of(gradient).sum(dtype=torch.float32).to(first) for gradient in given]
    return torch.stack(sums).sum()


def is_bad(tensor: Any) -> bool:
    """Whether a weight or a gradient holds NaN or infinities."""
    plain = isinstance(tensor, torch.Tensor) and tensor.layout is torch.strided
    if not plain or tensor.is_meta or not (tensor.is_floating_point() or tensor.is_complex()):
        return False
    return not cmath.isfinite(tensor.sum().item()) and not bool(torch.isfinite(tensor).all())


def largest_of(leaves: Iterable[Any]) -> float:
    """The largest of all weights, without sign."""
    given = (leaf for leaf in leaves if leaf.is_floating_point() and leaf.numel())
    sizes = (leaf.abs().max().item() for leaf in given if leaf.layout is torch.strided)
    return max((size for size in sizes if math.isfinite(size)), default=0.0)


def read_together(values: list[Any]) -> list[float | None]:
    """Numbers from another device, with one wait for each kind."""
    there = [v for v in values if isinstance(v, torch.Tensor)]
    if not there:
        return values
    device = there[0].device
    read = iter(torch.stack([v.to(device, torch.float64).reshape(()) for v in there]).tolist())
    return [next(read) if isinstance(v, torch.Tensor) else v for v in values]


def extent_of(tensor: torch.Tensor) -> dict[str, Any]:
    """How much of a batch is not finite: in which rows, in which columns."""
    bad = ~torch.isfinite(tensor)
    rows = bad.reshape(len(bad), -1) if bad.dim() else bad.reshape(1, 1)
    per_column = rows.sum(0)
    return {
        "nan": int(torch.isnan(tensor).sum()),
        "inf": int(torch.isinf(tensor).sum()),
        "of": tensor.numel(),
        "rows": int(rows.any(1).sum()),
        "of_rows": len(rows),
        "columns": torch.nonzero(per_column).flatten()[:10].tolist(),
        "whole_columns": torch.nonzero(per_column == len(rows)).flatten()[:10].tolist(),
        "of_columns": rows.shape[1],
    }
