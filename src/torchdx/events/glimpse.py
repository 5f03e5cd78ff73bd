"""What a sampled step shows: the models that were called, with what, and the loss it came to.

A glimpse lives from the forward to the end of the backward pass; nothing of it is kept.
"""

import random
import sys
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from torchdx.graph.heads import Head


@dataclass(frozen=True)
class RandomState:
    """All random states as they were before a forward.

    cpu, devices   torch's: the CPU's, and those of the accelerators in use
    """

    cpu: torch.Tensor
    devices: tuple[torch.Tensor, ...]
    python: Any
    numpy: Any

    @classmethod
    def now(cls) -> "RandomState":
        """As they are."""
        used = torch.cuda.is_available() and torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
        numpy = sys.modules.get("numpy")
        return cls(
            torch.get_rng_state(),
            tuple(torch.cuda.get_rng_state_all()) if used else (),
            random.getstate(),
            None if numpy is None else numpy.random.get_state(),
        )

    def restore(self) -> None:
        """Put them back."""
        torch.set_rng_state(self.cpu)
        if self.devices:
            torch.cuda.set_rng_state_all(list(self.devices))
        random.setstate(self.python)
        if self.numpy is not None:
            sys.modules["numpy"].random.set_state(self.numpy)


@dataclass
class Call:
    """One call of a model by the program: not of a part by the whole.

    path      its name; `training` its mode; `learning`: with gradients on
    state     the random states before it; None where they were not taken
    labels    what the batch at hand, or the calling function, holds that its answer can be judged
              by; None where nothing fits
    autocast  device type and precision of the autocast that it ran under, None for none
    """

    model: nn.Module
    path: str
    args: tuple[Any, ...]
    training: bool
    learning: bool
    line: int | None
    state: RandomState | None = None
    kwargs: dict[str, Any] = field(default_factory=dict)
    output: Any = None
    labels: torch.Tensor | None = None
    loader: int = 0
    autocast: tuple[str, torch.dtype] | None = None

    @property
    def follows(self) -> bool:
        """Whether it was given what another model had made."""
        given = [*self.args, *(self.kwargs or {}).values()]
        return any(isinstance(t, torch.Tensor) and t.grad_fn is not None for t in given)


@dataclass(frozen=True)
class Glimpse:
    """One backward pass and the calls that led to it, oldest first.

    step    the optimizer step under way, from 1
    root    the tensor on which backward was called; head: what it was computed from, where known
    graph   the number of its structure in the record
    full    whether layers are measured too
    """

    step: int
    calls: tuple[Call, ...]
    root: torch.Tensor
    head: Head | None
    graph: int
    line: int | None
    full: bool

    @property
    def entry(self) -> Call | None:
        """The first call that took data, not what another had made of it."""
        return next((call for call in self.calls if not _needs_gradient(call)), None)


def _needs_gradient(call: Call) -> bool:
    given = [*call.args, *call.kwargs.values()]
    return any(isinstance(value, torch.Tensor) and value.requires_grad for value in given)
