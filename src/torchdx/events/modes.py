"""Keeps torch's modes off our own operations: tracing would keep them, others would count them."""

import contextlib

import torch
from torch.overrides import _get_current_function_mode_stack
from torch.utils._device import DeviceContext
from torch.utils._python_dispatch import _disable_current_modes

_FAKE = torch._C._TorchDispatchModeKey.FAKE
_OFF = contextlib.nullcontext()


def rehearsed() -> bool:
    """Whether the program is traced just now, or runs on tensors that have no values."""
    return torch._C._is_tracing() or torch._C._get_dispatch_mode(_FAKE) is not None


def unfollowed() -> contextlib.AbstractContextManager[object]:
    """For our own code: no mode that the program has entered hears of what runs inside."""
    if not (torch._C._len_torch_dispatch_stack() or torch._C._len_torch_function_stack()):
        return _OFF
    stack = contextlib.ExitStack()
    stack.enter_context(_disable_current_modes())
    modes = _get_current_function_mode_stack()  # type: ignore[no-untyped-call]
    if any(type(mode) is not DeviceContext for mode in modes):
        stack.enter_context(torch._C.DisableTorchFunction())
    return stack
