"""What every test is held to."""

import signal

import pytest
import torch
import torch._dynamo  # imported by the first optimizer: it replaces torch.manual_seed
from torch import nn
from torch.amp.grad_scaler import GradScaler
from torch.nn.modules import module as torch_module
from torch.optim import Optimizer, optimizer
from torch.utils.data import DataLoader

torch.set_num_threads(1)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell starts what runs behind it
    signal.signal(signal.SIGINT, signal.default_int_handler)  # programs under test have Ctrl-C


def pytest_make_parametrize_id(config, val, argname):
    """A function's name, which is the same in every process; its address is not."""
    del config, argname
    return val.__name__ if callable(val) and hasattr(val, "__name__") else None


_WATCHED = [
    (torch.autograd, "backward"),
    (torch.autograd, "grad"),
    (nn.Module, "train"),
    (nn.Module, "state_dict"),
    (nn.Module, "load_state_dict"),
    (nn.Module, "zero_grad"),
    (nn.Module, "__dir__"),
    (Optimizer, "__init__"),
    (Optimizer, "zero_grad"),
    (DataLoader, "__iter__"),
    (torch, "manual_seed"),
    (torch, "save"),
    (torch, "compile"),
    (GradScaler, "scale"),
    (GradScaler, "step"),
    (torch.no_grad, "__enter__"),
    (torch.nn.utils, "clip_grad_norm_"),
    (torch.Tensor, "detach"),
    (torch.Tensor, "data"),
]
_ORIGINAL = [(owner, name, getattr(owner, name)) for owner, name in _WATCHED]


def hooks() -> dict[str, int]:
    """How many global hooks torch holds, by kind."""
    return {
        "forward": len(torch_module._global_forward_hooks),
        "forward pre": len(torch_module._global_forward_pre_hooks),
        "module": len(torch_module._global_module_registration_hooks),
        "parameter": len(torch_module._global_parameter_registration_hooks),
        "step pre": len(optimizer._global_optimizer_pre_hooks),
        "step post": len(optimizer._global_optimizer_post_hooks),
    }


def left_behind() -> list[str]:
    """Patches and hooks that are still there."""
    patched = [
        f"{owner.__name__}.{name}" for owner, name, was in _ORIGINAL if getattr(owner, name) != was
    ]
    hooked = [kind for kind, count in hooks().items() if count]
    knobs = [name for name in ("requires_grad",) if hasattr(nn.Module, name)]
    knobs += [name for name in ("lr", "betas") if hasattr(Optimizer, name)]
    modes = ["anomaly mode"] if torch.is_anomaly_enabled() else []
    return patched + hooked + knobs + modes


@pytest.fixture(autouse=True)
def _nothing_is_left_behind():
    assert left_behind() == []
    yield
    assert left_behind() == []
