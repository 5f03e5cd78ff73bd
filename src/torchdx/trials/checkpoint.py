"""Weights from a file, into the model of a program that was started again."""

import pickle
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from torchdx.errors import CallError

WEIGHTS = ("model_state_dict", "state_dict", "model", "net", "weights")
STEPPERS = ("optimizer_state_dict", "optimizer", "optim")
PREFIXES = ("module.", "_orig_mod.", "model.")  # of wrappers
SAFE = ".safetensors"
_TOLD = 3  # names that are listed


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds: weights by name, and the optimizer's state where it is there."""

    name: str
    weights: Mapping[str, torch.Tensor]
    stepper: Any = None


def read(path: str) -> Checkpoint:
    """Read a file: a state dict, or one within a dictionary.

    Raises:
        CallError: it cannot be read, or holds no weights.
    """
    found = _safe(path) if path.endswith(SAFE) else _pickled(path)
    name = Path(path).name
    if not isinstance(found, Mapping):
        msg = f"{name} holds a {type(found).__name__}, no state dict: save model.state_dict()."
        raise CallError(msg)
    for inner in (found, *(found[key] for key in WEIGHTS if key in found)):
        if _is_state(inner):
            stepper = next((found[key] for key in STEPPERS if key in found), None)
            return Checkpoint(name, inner, stepper)
    keys = ", ".join(map(str, list(found)[:_TOLD])) or "nothing"
    msg = f"{name} holds no weights by name (it has {keys}): a state dict is looked for at the "
    msg += f"top, and under {', '.join(WEIGHTS)}."
    raise CallError(msg)


def load(checkpoint: Checkpoint, model: nn.Module) -> None:
    """Put the weights into a model.

    Raises:
        CallError: they are of another one.
    """
    own = model.state_dict()
    state = min(_named(checkpoint.weights), key=lambda s: len(_misfits(own, s)))
    wrong = _misfits(own, state)
    if wrong:
        fit = sum(name in state and state[name].shape == own[name].shape for name in own)
        msg = f"{checkpoint.name} is of another model: {fit} of the {len(own)} tensors of "
        msg += f"{type(model).__name__} fit. {'; '.join(wrong[:_TOLD])}"
        msg += f"; and {len(wrong) - _TOLD} more." if len(wrong) > _TOLD else "."
        raise CallError(msg)
    model.load_state_dict(dict(state))


def load_stepper(checkpoint: Checkpoint, optimizer: Optimizer) -> str:
    """Put the optimizer's state into it; returns what is to be said about that."""
    if checkpoint.stepper is None:
        return "the optimizer is the program's at that step: the file has no state of it"
    try:
        optimizer.load_state_dict(checkpoint.stepper)
    except (ValueError, KeyError, TypeError, RuntimeError, AttributeError) as error:
        return f"the optimizer is the program's at that step: its state in the file, {error}"
    return "the optimizer's state is that of the file"


def _safe(path: str) -> Any:
    try:
        from safetensors.torch import load_file  # noqa: PLC0415  # where it is installed
    except ImportError:
        msg = f"{Path(path).name} is read by safetensors, which is not installed: "
        msg += "pip install safetensors."
        raise CallError(msg) from None
    try:
        return load_file(path)
    except Exception as error:  # noqa: BLE001  # its own classes, of Rust
        msg = f"{Path(path).name} is no file of safetensors: {error}"
        raise CallError(msg) from None


def _pickled(path: str) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, AttributeError, ModuleNotFoundError):
        if not _is_pickle(path):
            msg = f"{Path(path).name} is no checkpoint: not of torch.save, nor of safetensors."
            raise CallError(msg) from None
        msg = f"{Path(path).name} holds more than weights (a whole model, or settings, pickled), "
        msg += "and what is pickled can run code. Save model.state_dict(), and give that file."
        raise CallError(msg) from None
    except (OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        told = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        msg = f"{Path(path).name} cannot be read as a checkpoint: {told}"
        raise CallError(msg) from None


def _is_pickle(path: str) -> bool:
    with Path(path).open("rb") as file:
        return zipfile.is_zipfile(path) or file.read(1) == b"\x80"


def _is_state(found: Any) -> bool:
    if not isinstance(found, Mapping) or not found:
        return False
    return all(isinstance(v, torch.Tensor) for v in found.values())


def _named(weights: Mapping[str, torch.Tensor]) -> Iterator[Mapping[str, torch.Tensor]]:
    """The weights by their names, and without what a wrapper put before all of them."""
    yield weights
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in weights):
            yield from _named({name.removeprefix(prefix): t for name, t in weights.items()})


def _misfits(own: Mapping[str, Any], state: Mapping[str, torch.Tensor]) -> list[str]:
    """What does not fit, in the order of the model; then what it has no place for."""
    found = []
    for name, tensor in own.items():
        if not isinstance(tensor, torch.Tensor):
            continue
        if name not in state:
            found.append(f"{name} is not in the file")
        elif state[name].shape != tensor.shape:
            there = tuple(state[name].shape)
            found.append(f"{name} is {tuple(tensor.shape)} in the model, {there} in the file")
    return found + [f"{name} of the file is not in the model" for name in state if name not in own]
