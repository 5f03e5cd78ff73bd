"""The nets whose curvature is measured: an MLP, a ResNet-20 and a GPT, each partly trained."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class CrossEntropy(nn.Module):
    """Of the last dimension, over all others; curvlinops asks for its `reduction`."""

    reduction = "mean"

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(output.flatten(0, -2), target.flatten())


@dataclass(frozen=True)
class Case:
    """A net in evaluation mode with one batch."""

    name: str
    model: nn.Module
    inputs: Tensor
    target: Tensor
    criterion: nn.Module

    @property
    def batch(self) -> tuple[Tensor, Tensor]:
        """Inputs and target."""
        return self.inputs, self.target

    @property
    def parameters(self) -> list[nn.Parameter]:
        """In the order of flat vectors."""
        return list(self.model.parameters())

    @property
    def n(self) -> int:
        """How many numbers they are."""
        return sum(p.numel() for p in self.parameters)

    def loss(self) -> Tensor:
        """Of the batch."""
        return self.criterion(self.model(self.inputs), self.target)

    def to(self, device: str) -> "Case":
        """A copy on another device."""
        model = copy.deepcopy(self.model).to(device)
        tensors = (self.inputs.to(device), self.target.to(device))
        return Case(self.name, model, *tensors, self.criterion)


class Block(nn.Module):
    """Two 3 x 3 convolutions; the shortcut drops places and pads channels (He et al. 2015, A)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.stride, self.more = stride, outputs - inputs

    def forward(self, x: Tensor) -> Tensor:
        inner = self.norm2(self.second(F.relu(self.norm1(self.first(x)))))
        half = self.more // 2
        shortcut = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, half, half))
        return F.relu(inner + shortcut)


def resnet20() -> nn.Module:
    """269,722 parameters for 32 x 32 images."""
    parts: list[nn.Module] = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    width = 16
    for outputs in (16, 32, 64):
        for _ in range(3):
            parts.append(Block(width, outputs, 1 if width == outputs else 2))
            width = outputs
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def mlp(activation: type[nn.Module] = nn.ReLU) -> nn.Module:
    """784-110-110-10, 99,670 parameters."""
    layers = [nn.Linear(784, 110), activation(), nn.Linear(110, 110), activation()]
    return nn.Sequential(*layers, nn.Linear(110, 10))


class Attention(nn.Module):
    """Causal, of 4 heads, in plain operations: torch's own differentiates but once by default."""

    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.inner, self.outer = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        rows, length, width = x.shape
        split = self.inner(x).view(rows, length, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        scores = query @ key.transpose(-1, -2) / math.sqrt(width // self.heads)
        later = torch.ones(length, length, dtype=torch.bool, device=x.device).triu(1)
        found = scores.masked_fill(later, -math.inf).softmax(-1) @ value
        return self.outer(found.transpose(1, 2).reshape(rows, length, width))


class Gpt(nn.Module):
    """A decoder of 4 layers, width 128, 932,608 parameters."""

    def __init__(self, vocabulary: int = 512, width: int = 128, layers: int = 4) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.places = nn.Parameter(0.02 * torch.randn(64, width))
        self.attention = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), Attention(width)) for _ in range(layers)
        )
        self.wide = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(width),
                nn.Linear(width, 4 * width),
                nn.GELU(),
                nn.Linear(4 * width, width),
            )
            for _ in range(layers)
        )
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:  # (rows, length) -> (rows, length, vocabulary)
        x = self.tokens(tokens) + self.places[: tokens.shape[1]]
        for attention, wide in zip(self.attention, self.wide, strict=True):
            x = x + attention(x)
            x = x + wide(x)
        return self.head(self.norm(x))


def points(rows: int, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """Ten clusters in 784 dimensions, a tenth of the labels drawn anew."""
    centres = 0.25 * torch.randn(10, 784, generator=draw)
    labels = torch.randint(0, 10, (rows,), generator=draw)
    x = centres[labels] + 0.5 * torch.randn(rows, 784, generator=draw)
    wrong = torch.rand(rows, generator=draw) < 0.1  # noqa: PLR2004  # the tenth
    labels[wrong] = torch.randint(0, 10, (int(wrong.sum()),), generator=draw)
    return x, labels


def images(rows: int, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """Ten coarse colour patterns under noise."""
    centres = 0.5 * F.interpolate(torch.randn(10, 3, 4, 4, generator=draw), size=32)
    labels = torch.randint(0, 10, (rows,), generator=draw)
    return centres[labels] + 0.7 * torch.randn(rows, 3, 32, 32, generator=draw), labels


def texts(rows: int, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """A Markov chain over 512 tokens, 64 steps, and the token after each."""
    moves = torch.softmax(2.5 * torch.randn(512, 512, generator=draw), -1)
    chain = [torch.randint(0, 512, (rows,), generator=draw)]
    for _ in range(64):
        chain.append(torch.multinomial(moves[chain[-1]], 1, generator=draw)[:, 0])
    tokens = torch.stack(chain, 1)
    return tokens[:, :-1], tokens[:, 1:]


Draw = Callable[[int, torch.Generator], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class _Plan:
    """How a case is made: rows in all, in a batch, and steps of training."""

    model: Callable[[], nn.Module]
    draw: Draw
    rows: int
    batch: int
    steps: int
    optimizer: Callable[[Any], torch.optim.Optimizer]


def _sgd(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, 0.05, momentum=0.9)


def _adam(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, 1e-3)


_PLANS = {
    "mlp": _Plan(mlp, points, 2048, 256, 200, _sgd),
    "resnet20": _Plan(resnet20, images, 512, 128, 40, _sgd),
    "gpt": _Plan(Gpt, texts, 128, 16, 60, _adam),
}
NAMES = tuple(_PLANS)


def case(name: str, steps: int | None = None) -> Case:
    """One of the nets after its steps, or after fewer."""
    plan = _PLANS[name]
    torch.manual_seed(0)
    draw = torch.Generator().manual_seed(1)
    model, criterion = plan.model(), CrossEntropy()
    inputs, target = plan.draw(plan.rows, draw)
    optimizer = plan.optimizer(model.parameters())
    for _ in range(plan.steps if steps is None else steps):
        at = torch.randint(0, plan.rows, (plan.batch,), generator=draw)
        optimizer.zero_grad()
        criterion(model(inputs[at]), target[at]).backward()
        optimizer.step()
    optimizer.zero_grad()
    return Case(name, model.eval(), inputs[: plan.batch], target[: plan.batch], criterion)
