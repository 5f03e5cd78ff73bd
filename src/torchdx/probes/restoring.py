"""Keeps what a probe may disturb, and puts it back: random states, streams, hooks, modes."""

import contextlib
import io
import logging
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch.nn.modules import module as torch_module
from torch.overrides import _get_current_function_mode_stack
from torch.utils._device import DeviceContext

from torchdx.events.glimpse import RandomState
from torchdx.probes.errors import CannotMeasure

_GLOBAL_HOOKS = (
    "_global_forward_hooks",
    "_global_forward_pre_hooks",
    "_global_backward_hooks",
    "_global_backward_pre_hooks",
)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """All that runs inside leaves no trace outside of what it was given.

    Random states are put back; what is printed, warned or logged is dropped; hooks on all modules
    rest; gradients are on, whatever the program has set.
    """
    _check_modes()
    state = RandomState.now()
    with contextlib.ExitStack() as stack:
        stack.callback(state.restore)
        stack.enter_context(_silence())
        stack.enter_context(_hooks_at_rest())
        stack.enter_context(_eagerly())
        stack.enter_context(torch.inference_mode(mode=False))
        stack.enter_context(torch.enable_grad())
        yield


@contextlib.contextmanager
def precision(autocast: tuple[str, torch.dtype] | None) -> Iterator[None]:
    """Autocast as it was for the observed forward, whatever it is now."""
    with contextlib.ExitStack() as stack:
        for device in {"cpu", "cuda" if torch.cuda.is_available() else "cpu"}:
            on = autocast is not None and autocast[0] == device
            dtype = autocast[1] if on and autocast is not None else None
            stack.enter_context(
                torch.autocast(device, dtype=dtype, enabled=on, cache_enabled=False)
            )
        yield


def _check_modes() -> None:
    """Refuse where the program follows every operation by a mode of its own: it would see ours."""
    modes = _get_current_function_mode_stack()  # type: ignore[no-untyped-call]
    if torch._C._len_torch_dispatch_stack() or any(type(m) is not DeviceContext for m in modes):
        raise CannotMeasure("the program follows torch's operations by a mode of its own")
    if torch._C._functorch.peek_interpreter_stack() is not None:
        raise CannotMeasure("the loss is computed inside a transform of torch.func")


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    sink, level = io.StringIO(), logging.root.manager.disable
    show = warnings._showwarnmsg  # type: ignore[attr-defined]
    streams = sys.stdout, sys.stderr
    sys.stdout = sys.stderr = sink
    warnings._showwarnmsg = lambda _: None  # type: ignore[attr-defined]
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(level)
        warnings._showwarnmsg = show  # type: ignore[attr-defined]
        sys.stdout, sys.stderr = streams


@contextlib.contextmanager
def _hooks_at_rest() -> Iterator[None]:
    tables: list[dict[Any, Any]] = [getattr(torch_module, name) for name in _GLOBAL_HOOKS]
    kept = [dict(table) for table in tables]
    for table in tables:
        table.clear()
    try:
        yield
    finally:
        for table, was in zip(tables, kept, strict=True):
            table.clear()
            table.update(was)


@contextlib.contextmanager
def _eagerly() -> Iterator[None]:
    """Compiled parts run as they are written."""
    if "torch._dynamo" not in sys.modules:
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield
