"""Makes the copy on which probes work: all that a module holds, and nothing that it is tied to."""

import copy
import io
import logging
import os
import threading
import types
import weakref
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader, Dataset

from torchdx.probes.errors import CannotMeasure

MEMORY_SHARE = 0.25  # of what is free: the copy, its gradients and its activations come on top

_HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks_with_kwargs",
    "_backward_hooks",
    "_backward_pre_hooks",
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)
_CALLED = ("_forward_hooks", "_forward_pre_hooks")
_WRAPPERS = {
    "DistributedDataParallel": "module",
    "DataParallel": "module",
    "OptimizedModule": "_orig_mod",
}
# What a module may know of and a copy shares with it: copying would open files, or copy data sets.
_SHARED = (
    Optimizer,
    LRScheduler,
    DataLoader,
    Dataset,
    io.IOBase,
    logging.Logger,
    threading.Thread,
    types.ModuleType,
    weakref.ref,
)
_SHARED_HOMES = frozenset("lightning pytorch_lightning lightning_fabric wandb mlflow".split())
_DEPTH = 4  # of containers within a module's attributes that are searched


class Copy(NamedTuple):
    """A model, its arguments, and the optimizer that holds its parameters, each a copy."""

    model: nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    optimizer: Optimizer | None


def copied(
    model: nn.Module,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    optimizer: Optimizer | None = None,
) -> Copy:
    """A copy of a model, without the hooks that the program put on it, and of its arguments.

    The optimizer's copy holds the copy's parameters, with its settings and its state.

    Raises:
        CannotMeasure: it cannot be copied, or a copy would not leave memory enough.
    """
    model = unwrapped(model)
    _check(model)
    memo: dict[int, Any] = {}
    for module in model.modules():
        _prepare(module, memo)
    for value in _values([args, dict(kwargs)], _DEPTH):
        if isinstance(value, torch.Tensor):
            memo[id(value)] = _own(value)
        else:
            _prepare_value(value, memo)
    try:
        double = copy.deepcopy(model, memo)
        given = copy.deepcopy(args, memo), copy.deepcopy(dict(kwargs), memo)
        stepper = None if optimizer is None else stepper_of(optimizer, memo)
    except Exception as error:
        msg = f"the model cannot be copied: {type(error).__name__}"
        raise CannotMeasure(msg) from error
    for was, now in zip(model.modules(), double.modules(), strict=True):
        _keep_torchs_hooks(was, now)
        vars(now).pop("_compiled_call_impl", None)
    return Copy(double, *given, stepper)


def stepper_of(optimizer: Optimizer, memo: dict[int, Any]) -> Optimizer:
    """A copy of an optimizer; torch leaves out the hooks that the program put on it.

    What else torch leaves out, the optimizer's own attributes, is copied here.
    """
    memo.pop(id(optimizer), None)
    double = copy.deepcopy(optimizer, memo)
    for name, value in vars(optimizer).items():
        if name not in vars(double) and not name.endswith("_hooks"):
            setattr(double, name, copy.deepcopy(value, memo))
    return double


def unwrapped(model: nn.Module) -> nn.Module:
    """The model inside a wrapper of torch."""
    while (name := _WRAPPERS.get(type(model).__name__)) is not None:
        model = getattr(model, name)
    return model


def _check(model: nn.Module) -> None:
    ranks = torch.distributed.is_available() and torch.distributed.is_initialized()
    if ranks and torch.distributed.get_world_size() > 1:
        raise CannotMeasure("several processes train together, and a forward may wait for others")
    tensors = [*model.parameters(), *model.buffers()]
    if any(type(t).__name__ in {"UninitializedParameter", "UninitializedBuffer"} for t in tensors):
        raise CannotMeasure("the model's lazy parameters have no shape yet")
    if any(hasattr(t, "device_mesh") for t in tensors):
        raise CannotMeasure("the model is spread over several devices")
    for device in {t.device for t in tensors}:
        size = sum(t.numel() * t.element_size() for t in tensors if t.device == device)
        if size > MEMORY_SHARE * _free(device):
            msg = f"a copy of the model needs {size / 1e9:.1f} GB on {device}"
            raise CannotMeasure(msg)


def _free(device: torch.device) -> float:
    """Bytes of memory that are free."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    if device.type == "cpu" and hasattr(os, "sysconf"):
        return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return float("inf")


def _prepare(module: nn.Module, memo: dict[int, Any]) -> None:
    """Tell `deepcopy` what stands for the parts of a module that it must not copy."""
    for name in _HOOKS:
        hooks = vars(module).get(name)
        if hooks is not None:
            memo[id(hooks)] = OrderedDict()
    for name, value in vars(module).items():
        if name not in {"_parameters", "_buffers", "_modules"}:
            for inner in _values(value, _DEPTH):
                _prepare_value(inner, memo)


def _values(value: Any, depth: int) -> Iterator[Any]:
    yield value
    if depth and isinstance(value, Mapping | list | tuple | set):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _values(item, depth - 1)


def _prepare_value(value: Any, memo: dict[int, Any]) -> None:
    if isinstance(value, torch.Tensor) and value.grad_fn is not None:
        memo[id(value)] = value.detach().clone()  # deepcopy refuses tensors with a history
    elif isinstance(value, torch.Generator):
        memo[id(value)] = torch.Generator(value.device)
        memo[id(value)].set_state(value.get_state())
    elif not isinstance(value, nn.Module) and _is_shared(value):
        memo[id(value)] = value


def _is_shared(value: Any) -> bool:
    return isinstance(value, _SHARED) or type(value).__module__.split(".")[0] in _SHARED_HOMES


def _own(given: torch.Tensor) -> torch.Tensor:
    """A tensor of its own memory, which may be written to."""
    double = given.detach().clone()
    return double.requires_grad_(given.requires_grad) if given.is_leaf else double


def _keep_torchs_hooks(was: nn.Module, now: nn.Module) -> None:
    """Hooks that are part of a layer (weight norm, spectral norm, pruning) stay; others do not."""
    for name in _CALLED:
        table = vars(was).get(name) or {}
        kept = {k: hook for k, hook in table.items() if _home(hook).startswith("torch.")}
        getattr(now, name).update(kept)


def _home(hook: Any) -> str:
    return str(getattr(hook, "__module__", None) or type(hook).__module__)
