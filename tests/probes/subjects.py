"""Subjects for the tests of probes: a model, one call of it and its loss, as a run sees them."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from torchdx.events.glimpse import RandomState
from torchdx.probes.replay import factor_of
from torchdx.probes.subject import Subject, rebuild_loss

ROWS, FEATURES, CLASSES = 16, 6, 3


def rows(*shape: int, seed: int = 0) -> torch.Tensor:
    """Normal numbers; 16 rows of 6 features by default."""
    return torch.randn(shape or (ROWS, FEATURES), generator=torch.Generator().manual_seed(seed))


def labels(count: int = ROWS, classes: int = CLASSES) -> torch.Tensor:
    """Each class in turn."""
    return torch.arange(count) % classes


def cross_entropy(answer: Any) -> torch.Tensor:
    """With the labels above."""
    return F.cross_entropy(answer, labels(len(answer), answer.shape[1]))


def subject(
    model: nn.Module,
    *args: Any,
    loss: Callable[[Any], torch.Tensor] | None = cross_entropy,
    **kwargs: Any,
) -> Subject:
    """One call of a model, seen as in a run."""
    args = args or (rows(),)
    state = RandomState.now()
    output = model(*args, **kwargs)
    root = None if loss is None else loss(output)
    return Subject(
        model,
        args,
        kwargs,
        None if root is None else rebuild_loss(output, root),
        training=model.training,
        rng=state,
        output=output,
        value=None if root is None else float(root.detach()),
        factor=1.0 if root is None else factor_of(root),
    )


def mlp(*inner: nn.Module) -> nn.Sequential:
    """Two layers, with what is to stand between them."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(FEATURES, 8), *(inner or (nn.ReLU(),)), nn.Linear(8, CLASSES))


class Lambda(nn.Module):
    """A forward given as a function of the module and its inputs, with some parts."""

    def __init__(self, function: Callable[..., Any], **parts: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(self, *args, **kwargs)
