"""The three models whose steps are timed: small, convolutional, transformer."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def mlp() -> tuple[nn.Module, Tensor, Tensor]:
    """784-256-256-10, batch 128: a step of some milliseconds."""
    layers = [nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)]
    return nn.Sequential(*layers), torch.randn(128, 784), torch.randint(0, 10, (128,))


class Block(nn.Module):
    """Two 3 x 3 convolutions with batch norm, and a shortcut (He et al. 2015, section 3.3)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        same = stride == 1 and inputs == outputs
        projection = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
        self.shortcut = (
            nn.Identity() if same else nn.Sequential(projection, nn.BatchNorm2d(outputs))
        )

    def forward(self, x: Tensor) -> Tensor:
        inner = F.relu(self.norm1(self.first(x)))
        return F.relu(self.norm2(self.second(inner)) + self.shortcut(x))


def resnet20() -> tuple[nn.Module, Tensor, Tensor]:
    """ResNet-20 for 32 x 32 images, batch 64."""
    blocks: list[nn.Module] = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    width = 16
    for outputs, stride in ((16, 1), (32, 2), (64, 2)):
        for place in range(3):
            blocks.append(Block(width, outputs, stride if place == 0 else 1))
            width = outputs
    blocks += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)]
    return nn.Sequential(*blocks), torch.randn(64, 3, 32, 32), torch.randint(0, 10, (64,))


class Gpt(nn.Module):
    """A decoder of 4 layers, width 128, dropout 0.1."""

    def __init__(self, vocabulary: int = 256, width: int = 128, layers: int = 4) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.places = nn.Embedding(128, width)
        layer = nn.TransformerEncoderLayer(
            width, 4, 4 * width, 0.1, F.gelu, batch_first=True, norm_first=True
        )
        self.body = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, tokens: Tensor) -> Tensor:  # (rows, length) -> (rows * length, vocabulary)
        length = tokens.shape[1]
        mask = nn.Transformer.generate_square_subsequent_mask(length)
        x = self.tokens(tokens) + self.places(torch.arange(length))
        return self.head(self.body(x, mask=mask, is_causal=True)).flatten(0, 1)


def gpt() -> tuple[nn.Module, Tensor, Tensor]:
    """The decoder on 16 texts of 128 tokens."""
    return Gpt(), torch.randint(0, 256, (16, 128)), torch.randint(0, 256, (16 * 128,))


MODELS: dict[str, Callable[[], tuple[nn.Module, Tensor, Tensor]]] = {
    "mlp": mlp,
    "resnet20": resnet20,
    "gpt": gpt,
}
