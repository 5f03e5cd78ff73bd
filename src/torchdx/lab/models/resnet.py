"""Plain and residual networks for small images, of 6 n + 2 layers.

He et al. 2016, Deep residual learning for image recognition (arXiv 1512.03385), section 4.2: three
stages of n blocks of two 3 x 3 convolutions; the later stages begin by halving the image. Shortcuts
where the width changes (section 4.1):

A  the image is thinned and filled up with channels of zeros: no parameters
B  a 1 x 1 convolution there, the identity elsewhere
C  a 1 x 1 convolution in every block
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

Shortcut = Literal["plain", "A", "B", "C"]


def resnet(  # noqa: PLR0913  # what the studies vary
    depth: int,
    *,
    shortcut: Shortcut = "A",
    norm: bool = True,
    widths: Sequence[int] = (16, 32, 64),
    inputs: int = 3,
    classes: int = 10,
) -> nn.Sequential:
    """A network of `depth` layers with parameters, without those of shortcuts.

    resnet(20), resnet(56, shortcut="plain"), resnet(20, norm=False)

    Args:
        depth: 6 n + 2.
        shortcut: `plain` for none at all.
        norm: batch norm behind each convolution; without it convolutions have biases.
        widths: channels of the three stages.
        inputs: channels of the image.
        classes: outputs.

    Raises:
        ValueError: the depth cannot be had.
    """
    blocks, rest = divmod(depth - 2, 6)
    if rest or blocks < 1:
        msg = f"a depth of 6 n + 2 is needed (8, 14, 20, ...), not {depth}"
        raise ValueError(msg)
    layers: list[nn.Module] = [_convolution(inputs, widths[0], norm=norm), nn.ReLU()]
    before = widths[0]
    for stage, width in enumerate(widths):
        for number in range(blocks):
            stride = 2 if stage and not number else 1
            layers.append(Block(before, width, stride, shortcut, norm=norm))
            before = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, classes))


class Block(nn.Module):
    """Two convolutions, and the way around them."""

    def __init__(
        self, inputs: int, outputs: int, stride: int, shortcut: Shortcut, *, norm: bool
    ) -> None:
        super().__init__()
        self.stride, self.shortcut, self.more = stride, shortcut, outputs - inputs
        self.first = _convolution(inputs, outputs, stride, norm=norm)
        self.second = _convolution(outputs, outputs, norm=norm)
        changes = stride > 1 or inputs != outputs
        if shortcut == "C" or (shortcut == "B" and changes):
            self.projection = _convolution(inputs, outputs, stride, side=1, norm=norm)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(rows, inputs, height, width) to (rows, outputs, height / stride, width / stride)."""
        response = self.second(functional.relu(self.first(images)))
        if self.shortcut != "plain":
            response = response + self._around(images)
        return functional.relu(response)

    def _around(self, images: torch.Tensor) -> torch.Tensor:
        if "projection" in self._modules:
            projected: torch.Tensor = self.projection(images)
            return projected
        thinned = images[:, :, :: self.stride, :: self.stride]
        return functional.pad(thinned, (0, 0, 0, 0, self.more // 2, self.more - self.more // 2))


def _convolution(
    inputs: int, outputs: int, stride: int = 1, *, side: int = 3, norm: bool
) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, side, stride, padding=side // 2, bias=not norm)
    nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
    return nn.Sequential(convolution, *([nn.BatchNorm2d(outputs)] if norm else []))
