"""How tensors are measured: unseen by the program, and only where a number can be had."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TypeGuard

import torch
from torch.utils.hooks import unserializable_hook


@contextlib.contextmanager
def unseen() -> Iterator[None]:
    """For measuring: no history, and no tensor subclass of the user's gets a say."""
    with torch.no_grad(), torch._C.DisableTorchFunctionSubclass():
        yield


def plain(value: Any) -> TypeGuard[torch.Tensor]:
    """Whether a value is a tensor whose numbers can be read: dense, on one device, as it is.

    Subclasses that dispatch by themselves (nested, distributed, fake tensors) are not.
    """
    return (
        isinstance(value, torch.Tensor)
        and type(value).__torch_dispatch__ is torch.Tensor.__torch_dispatch__
        and value.layout is torch.strided
        and not value.is_nested
        and not value.is_meta
        and not value.is_quantized
        and not torch._C._functorch.is_functorch_wrapped_tensor(value)
    )


def real_of(tensor: torch.Tensor) -> torch.Tensor:
    """A complex tensor's two parts side by side; any other as it is."""
    return torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor


def hook_gradient(tensor: torch.Tensor, seen: Callable[[torch.Tensor], None]) -> None:
    """Have a tensor's gradient shown; the program may save the tensor, and hears nothing of it."""
    tensor.register_hook(unserializable_hook(seen))  # type: ignore[no-untyped-call]


def norms_of(tensors: list[Any]) -> list[float] | None:
    """Euclidean norms; sparse and distributed gradients are left out by asking None of them."""
    dense = [t for t in tensors if type(t) in _DENSE and t.layout is torch.strided]
    if len(dense) != len(tensors):
        return None
    if not dense:
        return []
    try:
        return [float(n) for n in torch.stack(_same_device(torch._foreach_norm(dense))).tolist()]
    except (RuntimeError, NotImplementedError):
        return None


_DENSE = (torch.Tensor, torch.nn.Parameter)


def _same_device(norms: Any) -> list[torch.Tensor]:
    first = norms[0].device
    return [n.to(first).float() for n in norms]


def nonzero(gradients: list[Any]) -> int:
    """How many of these are there and not all zeros."""
    present = [g for g in gradients if g is not None]
    with unseen():
        norms = norms_of(present)
    return 0 if norms is None else sum(n > 0 for n in norms)


def few_of(parameter: torch.Tensor, elements: int) -> torch.Tensor:
    """Some elements, evenly taken."""
    flat = real_of(parameter.detach()).reshape(-1)
    return flat[:: max(1, flat.numel() // elements)]


BLOCKS, BLOCK = 64, 64  # an even sample: so many stretches of so many elements


def blocks(tensor: torch.Tensor) -> torch.Tensor:
    """Up to 4,096 elements of a tensor, shape (n,): stretches of 64, evenly spread.

    Their distance is odd, so that it keeps step with no power of two in the layout. Of an
    activation's root mean square the median error is 1 %, the largest seen 3.5 %; of the share of
    zeros 2 points (ResNet-20, a GPT, an MLP).
    """
    flat = tensor.detach().reshape(-1)
    size = flat.numel()
    if size <= BLOCKS * BLOCK:
        return flat
    stride = (size - BLOCK) // (BLOCKS - 1)
    stride -= 1 - stride % 2
    return flat.as_strided((BLOCKS, BLOCK), (stride, 1), flat.storage_offset()).reshape(-1)
