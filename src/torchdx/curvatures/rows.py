"""The rows of a batch: how many there are, and parts of them."""

import itertools
from typing import Any

import torch

from torchdx.errors import CallError
from torchdx.probes.forms import tensors_of


def rows_of(batch: Any) -> int | None:
    """How many rows a batch has: the length of its first tensor that has one."""
    return next((len(t) for t in tensors_of(batch) if t.dim()), None)


def split(batch: Any, parts: int) -> list[Any] | None:
    """A batch in `parts` of its rows; None where not all of its tensors have them."""
    rows = rows_of(batch)
    tensors = list(tensors_of(batch))
    if rows is None or rows < parts or any(not t.dim() or len(t) != rows for t in tensors):
        return None
    cuts = [rows * i // parts for i in range(parts + 1)]
    return [_cut(batch, slice(a, b)) for a, b in itertools.pairwise(cuts)]


def check_rows(batch: Any) -> None:
    """Refuse a batch without rows.

    Raises:
        CallError: its first tensor has none.
    """
    if rows_of(batch) == 0:
        shapes = ", ".join(str(tuple(t.shape)) for t in tensors_of(batch))
        msg = (
            f"The curvature of a batch was asked for, but the batch has 0 rows (shapes: {shapes}). "
            "The mean over no rows is not a number; give a batch with at least one."
        )
        raise CallError(msg)


def _cut(batch: Any, rows: slice) -> Any:
    if isinstance(batch, torch.Tensor):
        return batch[rows]
    if isinstance(batch, dict):
        return {key: _cut(value, rows) for key, value in batch.items()}
    if isinstance(batch, list | tuple):
        return type(batch)(_cut(item, rows) for item in batch)
    return batch
