"""How a loss function is called: with the model and the batch, or with an output and its target."""

import contextlib
import inspect
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from torchdx.errors import CallError

LossFn = Callable[..., torch.Tensor]
_TARGETS = ("labels", "label", "targets", "target", "y")
_PAIR = 2


def call_of(model: nn.Module, loss_fn: LossFn, batch: Any, *, of_model: bool) -> torch.Tensor:
    """The loss of one forward on a batch."""
    if of_model:
        return loss_fn(model, batch)
    inputs, target = _parts(batch)
    return loss_fn(_called(model, inputs), target)


def forms(loss_fn: LossFn) -> tuple[bool, ...]:
    """Which forms to try, in order: True for `loss_fn(model, batch)`."""
    home = getattr(loss_fn, "__module__", "") or ""
    if isinstance(loss_fn, nn.Module) or home.startswith("torch"):
        return (False,)
    with contextlib.suppress(TypeError, ValueError):
        first = next(iter(inspect.signature(loss_fn).parameters), "")
        if first in {"model", "net", "module", "m"}:
            return (True,)
    return True, False


def tensors_of(batch: Any) -> Iterator[torch.Tensor]:
    """The tensors of a batch."""
    if isinstance(batch, torch.Tensor):
        yield batch
    elif isinstance(batch, dict):
        yield from tensors_of(list(batch.values()))
    elif isinstance(batch, list | tuple):
        for item in batch:
            yield from tensors_of(item)


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


def _parts(batch: Any) -> tuple[Any, Any]:
    if isinstance(batch, dict):
        name = next((name for name in _TARGETS if name in batch), None)
        return batch, batch if name is None else batch[name]
    if isinstance(batch, list | tuple) and len(batch) == _PAIR:
        return batch[0], batch[1]
    return batch, batch


def _called(model: nn.Module, inputs: Any) -> Any:
    if isinstance(inputs, dict):
        return model(**inputs)
    return model(*inputs) if isinstance(inputs, list | tuple) else model(inputs)
