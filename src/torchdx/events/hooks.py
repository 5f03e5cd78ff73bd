"""Everything of torch that is replaced or hooked while a run is watched, in one list.

Each wrapper calls torch's own function exactly once, with the arguments that it was given, and
lets its result and its exceptions through. What is told to the observer never raises.
"""

import functools
import os
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import torch
from torch import nn
from torch.amp import grad_scaler
from torch.nn.modules import module as torch_module
from torch.nn.utils import clip_grad
from torch.optim import Optimizer, lr_scheduler
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)
from torch.utils.data import DataLoader, Subset, dataloader
from torch.utils.data._utils import worker

from torchdx.events.patches import Knob, Patches

# Attributes that nothing in torch reads, and the class whose instances are given them.
OPTIMIZER_KNOBS = ("lr", "learning_rate", "weight_decay", "momentum", "betas", "eps")
SUBSET_KNOBS = ("transform", "target_transform", "transforms")

Around = Callable[..., Any]


class Observer(Protocol):
    """What the hooks tell, and to whom. No method raises."""

    def before_backward(self, tensors: Any) -> None: ...
    def after_backward(self, error: BaseException | None) -> None: ...
    def before_step(self, optimizer: Optimizer) -> None: ...
    def after_step(self, optimizer: Optimizer) -> None: ...
    def optimizer_made(self, optimizer: Optimizer) -> None: ...
    def optimizer_failed(self, error: BaseException) -> None: ...
    def gradients_cleared(self, thing: Any) -> None: ...
    def mark(self, kind: str) -> None: ...
    def scaler_called(self, kind: str, optimizer: Any) -> None: ...
    def scaler_returned(self, kind: str) -> None: ...
    def scaler_failed(self, error: BaseException) -> None: ...
    def clipped(self, norm: Any, most: Any) -> None: ...
    def loader_starting(self, loader: Any) -> None: ...
    def loader_started(self, loader: Any, iterator: Any) -> None: ...
    def batch_wanted(self, iterator: Any) -> None: ...
    def batch_failed(self) -> None: ...
    def batch_yielded(self, iterator: Any, batch: Any) -> None: ...
    def loader_ended(self, iterator: Any) -> None: ...
    def in_worker(self, original: Any, *args: Any, **kwargs: Any) -> Any: ...
    def module_registered(self, parent: Any, name: str, child: Any) -> None: ...
    def parameter_registered(self, owner: Any) -> None: ...
    def mode_set(self, module: Any, *, training: bool) -> None: ...
    def scheduler_made(self, scheduler: Any) -> None: ...
    def scheduler_stepped(self, scheduler: Any, given: Any) -> None: ...
    def state_taken(self, module: Any, state: Any) -> None: ...
    def state_loaded(self, module: Any, state: Any) -> None: ...
    def saved(self, thing: Any) -> None: ...
    def seeding(self) -> None: ...
    def seeded(self, seed: int) -> None: ...
    def random_state_restored(self) -> None: ...
    def gradients_off(self) -> None: ...
    def gradients_on(self) -> None: ...
    def knob_set(self, thing: Any, name: str, value: Any) -> None: ...
    def knob_read(self, thing: Any, name: str) -> None: ...
    def compiling(self) -> None: ...
    def leaving(self, code: int) -> None: ...


def install(observer: Observer) -> Patches:
    """Put every hook in place; `undo()` of what is returned takes them all away."""
    patches = Patches()
    parts = (_backward, _optimizers, _gradients, _data, _modules, _schedulers, _states)
    try:
        for part in (*parts, _scaler, _randomness, _grad_mode, _knobs, _leaving):
            part(observer, patches)
    except BaseException:
        patches.undo()
        raise
    return patches


def _wrap(around: Around) -> Callable[[Any], Any]:
    """A maker of replacements: `around(original, *args, **kwargs)` in place of `original`."""

    def make(original: Any) -> Any:
        @functools.wraps(original)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return around(original, *args, **kwargs)

        return wrapper

    return make


def _backward(observer: Observer, patches: Patches) -> None:
    def backward(original: Any, tensors: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(tensors, Iterator):  # looked at twice
            tensors = tuple(tensors)
        observer.before_backward(tensors)
        try:
            result = original(tensors, *args, **kwargs)
        except BaseException as error:
            observer.after_backward(error)
            raise
        observer.after_backward(None)
        return result

    def grad(original: Any, *args: Any, **kwargs: Any) -> Any:
        observer.mark("grad")
        return original(*args, **kwargs)

    patches.replace(torch.autograd, "backward", _wrap(backward))
    patches.replace(torch.autograd, "grad", _wrap(grad))


def _optimizers(observer: Observer, patches: Patches) -> None:
    def before(optimizer: Optimizer, _args: Any, _kwargs: Any) -> None:
        observer.before_step(optimizer)

    def after(optimizer: Optimizer, _args: Any, _kwargs: Any) -> None:
        observer.after_step(optimizer)

    def init(original: Any, optimizer: Optimizer, *args: Any, **kwargs: Any) -> None:
        try:
            original(optimizer, *args, **kwargs)
        except ValueError as error:
            observer.optimizer_failed(error)
            raise
        observer.optimizer_made(optimizer)

    patches.hook(register_optimizer_step_pre_hook(before))
    patches.hook(register_optimizer_step_post_hook(after))
    patches.replace(Optimizer, "__init__", _wrap(init))


def _gradients(observer: Observer, patches: Patches) -> None:
    def zero_grad(original: Any, thing: Any, *args: Any, **kwargs: Any) -> None:
        original(thing, *args, **kwargs)
        observer.gradients_cleared(thing)

    def marking(kind: str) -> Around:
        def around(original: Any, *args: Any, **kwargs: Any) -> Any:
            observer.mark(kind)
            return original(*args, **kwargs)

        return around

    def clip(original: Any, parameters: Any, max_norm: Any, *args: Any, **kwargs: Any) -> Any:
        observer.mark("clip")
        norm = original(parameters, max_norm, *args, **kwargs)
        observer.clipped(norm, max_norm)
        return norm

    patches.replace(Optimizer, "zero_grad", _wrap(zero_grad))
    patches.replace(nn.Module, "zero_grad", _wrap(zero_grad))
    for owner in (nn.utils, clip_grad):
        patches.replace(owner, "clip_grad_norm_", _wrap(clip))
        patches.replace(owner, "clip_grad_value_", _wrap(marking("clip")))
    for name, kind in (
        ("unscale_", "unscale"),
        ("step", "scaled-step"),
        ("update", "scale-update"),
    ):
        patches.replace(grad_scaler.GradScaler, name, _wrap(marking(kind)))


def _scaler(observer: Observer, patches: Patches) -> None:
    def following(kind: str) -> Around:
        def around(original: Any, scaler: Any, *args: Any, **kwargs: Any) -> Any:
            if not scaler.is_enabled():
                return original(scaler, *args, **kwargs)
            observer.scaler_called(kind, args[0] if args else kwargs.get("optimizer"))
            try:
                result = original(scaler, *args, **kwargs)
            except Exception as error:
                observer.scaler_failed(error)
                raise
            observer.scaler_returned(kind)
            return result

        return around

    for name in ("scale", "unscale_", "step", "update"):
        kind = name.rstrip("_")
        patches.replace(grad_scaler.GradScaler, name, _wrap(following(kind)))


def _data(observer: Observer, patches: Patches) -> None:
    def start(original: Any, loader: Any) -> Any:
        observer.loader_starting(loader)
        iterator = original(loader)
        observer.loader_started(loader, iterator)
        return iterator

    def following(original: Any, iterator: Any) -> Any:
        observer.batch_wanted(iterator)
        try:
            batch = original(iterator)
        except StopIteration:
            observer.loader_ended(iterator)
            raise
        except BaseException:
            observer.batch_failed()
            raise
        observer.batch_yielded(iterator, batch)
        return batch

    patches.replace(DataLoader, "__iter__", _wrap(start))
    patches.replace(worker, "_worker_loop", _wrap(observer.in_worker))
    patches.replace(dataloader._BaseDataLoaderIter, "__next__", _wrap(following))


def _modules(observer: Observer, patches: Patches) -> None:
    depth = [0]  # a module sets its children

    def train(original: Any, module: Any, mode: bool = True) -> Any:  # noqa: FBT001, FBT002  # torch's
        if depth[0] == 0:
            observer.mode_set(module, training=mode)
        depth[0] += 1
        try:
            return original(module, mode)
        finally:
            depth[0] -= 1

    def module_hook(parent: Any, name: str, child: Any) -> None:
        observer.module_registered(parent, name, child)

    def parameter_hook(owner: Any, _name: str, _parameter: Any) -> None:
        observer.parameter_registered(owner)

    patches.replace(nn.Module, "train", _wrap(train))
    patches.hook(torch_module.register_module_module_registration_hook(module_hook))
    patches.hook(torch_module.register_module_parameter_registration_hook(parameter_hook))


def _schedulers(observer: Observer, patches: Patches) -> None:
    depth = [0]  # a scheduler may step others, and steps once while it is made

    def init(original: Any, scheduler: Any, *args: Any, **kwargs: Any) -> None:
        depth[0] += 1
        try:
            original(scheduler, *args, **kwargs)
        finally:
            depth[0] -= 1
        if depth[0] == 0:
            observer.scheduler_made(scheduler)

    def step(original: Any, scheduler: Any, *args: Any, **kwargs: Any) -> Any:
        depth[0] += 1
        try:
            result = original(scheduler, *args, **kwargs)
        finally:
            depth[0] -= 1
        if depth[0] == 0:
            observer.scheduler_stepped(scheduler, kwargs.get("metrics", args[0] if args else None))
        return result

    for cls in vars(lr_scheduler).values():
        if isinstance(cls, type) and issubclass(cls, lr_scheduler.LRScheduler):
            if "step" in vars(cls):
                patches.replace(cls, "step", _wrap(step))
            if "__init__" in vars(cls):
                patches.replace(cls, "__init__", _wrap(init))


def _states(observer: Observer, patches: Patches) -> None:
    depth = [0]  # a module asks its children

    def state_dict(original: Any, module: Any, *args: Any, **kwargs: Any) -> Any:
        depth[0] += 1
        try:
            state = original(module, *args, **kwargs)
        finally:
            depth[0] -= 1
        if depth[0] == 0:
            observer.state_taken(module, state)
        return state

    def load_state_dict(original: Any, module: Any, state: Any, *args: Any, **kwargs: Any) -> Any:
        observer.state_loaded(module, state)
        return original(module, state, *args, **kwargs)

    def save(original: Any, thing: Any, *args: Any, **kwargs: Any) -> Any:
        observer.saved(thing)
        return original(thing, *args, **kwargs)

    patches.replace(nn.Module, "state_dict", _wrap(state_dict))
    patches.replace(nn.Module, "load_state_dict", _wrap(load_state_dict))
    patches.replace(torch, "save", _wrap(save))


def _randomness(observer: Observer, patches: Patches) -> None:
    def manual_seed(original: Any, seed: Any) -> Any:
        observer.seeding()
        result = original(seed)
        observer.seeded(seed)
        return result

    def set_rng_state(original: Any, *args: Any, **kwargs: Any) -> None:
        original(*args, **kwargs)
        observer.random_state_restored()

    for owner in (torch, torch.random):
        patches.replace(owner, "manual_seed", _wrap(manual_seed))
        patches.replace(owner, "set_rng_state", _wrap(set_rng_state))


def _grad_mode(observer: Observer, patches: Patches) -> None:
    def enter(original: Any, context: Any) -> Any:
        result = original(context)
        observer.gradients_off()
        return result

    def leave(original: Any, context: Any, *error: Any) -> Any:
        result = original(context, *error)
        observer.gradients_on()
        return result

    for cls in (torch.no_grad, torch.inference_mode):
        patches.replace(cls, "__enter__", _wrap(enter))
        patches.replace(cls, "__exit__", _wrap(leave))


def _knobs(observer: Observer, patches: Patches) -> None:
    def listing(original: Any, module: Any) -> list[str]:
        """`dir(module)` as without us: torch.compile and TorchScript read all that it names."""
        return [n for n in original(module) if n != "requires_grad" or n in vars(module)]

    patches.replace(nn.Module, "__dir__", _wrap(listing))
    patches.describe(nn.Module, "requires_grad", Knob("requires_grad", observer.knob_set))
    for name in OPTIMIZER_KNOBS:
        patches.describe(Optimizer, name, Knob(name, observer.knob_set))
    for name in SUBSET_KNOBS:
        patches.describe(Subset, name, Knob(name, observer.knob_set, observer.knob_read))


def _leaving(observer: Observer, patches: Patches) -> None:
    def compile_(original: Any, *args: Any, **kwargs: Any) -> Any:
        observer.compiling()
        return original(*args, **kwargs)

    def leave(original: Any, code: int) -> None:
        observer.leaving(code)
        original(code)

    patches.replace(torch, "compile", _wrap(compile_))
    patches.replace(nn.Module, "compile", _wrap(compile_))
    patches.replace(os, "_exit", _wrap(leave))
