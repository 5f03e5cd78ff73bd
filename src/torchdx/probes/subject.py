"""What a probe is given: a model, one call of it, and the loss of its answer."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import torch
from torch import nn

from torchdx.events.glimpse import RandomState
from torchdx.probes.replay import Tape, Unreplayable

AGREES = 1e-5  # relative: the same operations on the same numbers, in the same precision

Loss = Callable[[Any], torch.Tensor]
Path = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Unmeasured:
    """A probe's honest "could not": `because` names what stood in the way."""

    because: str


@dataclass(frozen=True)
class Subject:
    """One call of a model, as the program made it.

    args, kwargs   of the model's top-level call
    loss      from the model's answer to the scalar that the program minimises; None when that
              could not be rebuilt
    training  the model's mode then
    rng       all random states before that forward; None: unknown
    output    what it answered then, to see whether a copy answers the same; None: unknown
    value     of the loss then, likewise
    autocast  (device type, precision) where the forward ran under autocast
    factor    by which the program had multiplied its loss: 0.25 for `loss / 4`
    """

    model: nn.Module
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    loss: Loss | None
    training: bool = True
    rng: RandomState | None = None
    output: Any = None
    value: float | None = None
    autocast: tuple[str, torch.dtype] | None = None
    factor: float = 1.0


def rebuild_loss(output: Any, root: torch.Tensor) -> Loss | None:
    """A function from a model's answer to its loss, made from the graph between the two.

    To be called before backward, which lets go of what the graph keeps: targets, class weights.
    What comes back is checked, not believed: it gives the observed loss for the observed answer.

    Args:
        output: the model's answer: a tensor, or tuples, mappings and dataclasses of them.
        root: the tensor on which the program calls backward, factors (`loss / 4`) included.

    Returns:
        None where the loss depends on more than this answer, or on an operation that cannot be
        repeated.
    """
    if root.grad_fn is None or root.numel() != 1:
        return None
    places = dict(tensors_at(output))
    try:
        replay = Tape(places).replay(root)
        with torch.no_grad():
            again, value = float(replay(places)), float(root.detach())
    except (Unreplayable, RuntimeError, TypeError, ValueError, IndexError, AttributeError):
        return None
    if not math.isclose(again, value, rel_tol=AGREES, abs_tol=0.0):
        return None
    return lambda answer: replay(dict(tensors_at(answer)))


def tensors_at(value: Any, path: Path = (), depth: int = 4) -> Iterator[tuple[Path, torch.Tensor]]:
    """Every tensor of a model's answer, with the way to it."""
    if isinstance(value, torch.Tensor):
        yield path, value
    elif depth == 0:
        return
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from tensors_at(item, (*path, ("item", key)), depth - 1)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from tensors_at(item, (*path, ("item", index)), depth - 1)
    elif is_dataclass(value) and not isinstance(value, type):
        for each in fields(value):
            item = getattr(value, each.name, None)
            yield from tensors_at(item, (*path, ("attribute", each.name)), depth - 1)
