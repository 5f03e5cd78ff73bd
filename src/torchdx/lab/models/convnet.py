"""Small convolutional networks."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn


def convnet(
    channels: Sequence[int] = (1, 16, 32), *, classes: int = 10, norm: bool = False
) -> nn.Sequential:
    """3 x 3 convolutions of these channels, each halving the image, and one linear layer.

    The image is averaged before the last layer, so that its size is free.

    Args:
        channels: the first are the image's own.
        classes: outputs.
        norm: batch norm behind each convolution.
    """
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(channels):
        layers.append(nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=not norm))
        layers += [nn.BatchNorm2d(outputs)] if norm else []
        layers.append(nn.ReLU())
    return nn.Sequential(*layers, _Average(), nn.Linear(channels[-1], classes))


class _Average(nn.Module):
    """Over height and width."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(rows, channels, height, width) to (rows, channels)."""
        return images.mean((2, 3))
