"""Data that is not finite, when such a value has reached a loss or a gradient: whose it is."""

from collections.abc import Iterator
from typing import Any

import torch

from torchdx.events.frames import Frames, variables_of
from torchdx.events.lens import tensors_in
from torchdx.graph.first_bad import Found, not_finite
from torchdx.instruments.finiteness import extent_of

_FRAMES = 2  # frames of the user's program whose variables are looked at


def source_of(found: Found | None, frames: Frames, batch: Any, *, usual: bool) -> dict[str, Any]:
    """The data that is not finite: of the batch, of an operation, of a variable; empty for none.

    Args:
        found: the operation in which the first such value was seen.
        frames: lead to the variables of the running functions.
        batch: what a loader yielded last.
        usual: whether the program has lived with such values in its batches from the first.
    """
    if found is not None and found.reason is not None and found.inputs:
        return {}  # what went into the operation was finite
    given = None if found is None else found.data
    if not usual or given is not None:
        for number, tensor in enumerate(tensors_in(batch)):
            if not_finite(tensor):
                return {"source": "batch", "name": str(number), **extent_of(tensor)}
    if given is not None:
        name = next((n for n, value in _variables(frames) if _same(value, given)), "")
        return {"source": "operand", "name": name, **extent_of(given)}
    if found is not None and found.constant:
        for name, value in _variables(frames):
            if value.dim() and not value.requires_grad and not_finite(value):
                return {"source": "variable", "name": name, **extent_of(value)}
    return {}


def _variables(frames: Frames) -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors among the variables of the running functions."""
    for frame in frames.user_frames(_FRAMES):
        for name, value in variables_of(frame).items():
            if isinstance(value, torch.Tensor) and value.layout is torch.strided:
                yield name, value


def _same(value: torch.Tensor, given: torch.Tensor) -> bool:
    """Whether two tensors share their values."""
    return (
        not value.is_meta
        and value.data_ptr() == given.data_ptr()
        and value.numel() == given.numel()
    )
