"""A multi-layer perceptron."""

from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import nn


def mlp(
    sizes: Sequence[int], *, activation: Callable[[], nn.Module] = nn.ReLU, bias: bool = True
) -> nn.Sequential:
    """Linear layers of these sizes, the first the inputs, with an activation between them.

    mlp([64, 32, 10])
    """
    layers: list[nn.Module] = []
    for number, (inputs, outputs) in enumerate(pairwise(sizes)):
        layers += [activation()] if number else []
        layers.append(nn.Linear(inputs, outputs, bias=bias))
    return nn.Sequential(*layers)
