"""How a loss function is called: with the model and the batch, or with an output and its target."""

import contextlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

LossFn = Callable[..., torch.Tensor]
_TARGETS = ("labels", "label", "targets", "target", "y")
_PAIR = 2


def forms(loss_fn: LossFn) -> tuple[bool, ...]:
    """Which forms to try, in order: True for `loss_fn(model, batch)`."""
    home = getattr(loss_fn, "__module__", "") or ""
    if isinstance(loss_fn, nn.Module) or home.partition(".")[0] == "torch":
        return (False,)
    with contextlib.suppress(TypeError, ValueError):
        first = next(iter(inspect.signature(loss_fn).parameters), "")
        if first in {"model", "net", "module", "m"}:
            return (True,)
    return True, False


def call_of(model: nn.Module, loss_fn: LossFn, batch: Any, *, of_model: bool) -> torch.Tensor:
    """The loss of one forward on a batch."""
    if of_model:
        return loss_fn(model, batch)
    inputs, target = parts_of(batch)
    args, kwargs = arguments(inputs)
    return loss_fn(model(*args, **kwargs), target)


def parts_of(batch: Any) -> tuple[Any, Any]:
    """Inputs and target of a batch: a pair, a mapping with a target, or itself for both."""
    if isinstance(batch, dict):
        name = next((name for name in _TARGETS if name in batch), None)
        return batch, batch if name is None else batch[name]
    if isinstance(batch, list | tuple) and len(batch) == _PAIR:
        return batch[0], batch[1]
    return batch, batch


def arguments(inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """With what a model is called on its inputs."""
    if isinstance(inputs, dict):
        return (), inputs
    return (tuple(inputs) if isinstance(inputs, list | tuple) else (inputs,)), {}


def tensors_of(batch: Any) -> Iterator[torch.Tensor]:
    """The tensors of a batch."""
    if isinstance(batch, torch.Tensor):
        yield batch
    elif isinstance(batch, dict):
        yield from tensors_of(list(batch.values()))
    elif isinstance(batch, list | tuple):
        for item in batch:
            yield from tensors_of(item)
