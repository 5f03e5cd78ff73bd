"""Distilling a big net into a small one that has never seen a 3."""

import functools
import json
import sys
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, Subset, random_split

from torchdx.lab.data import Images, mnist

Transform = Callable[[torch.Tensor], torch.Tensor]
Loss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


class Digits(Dataset[tuple[torch.Tensor, int]]):
    """Images that pass through a transform."""

    def __init__(self, data: Images, transform: Transform) -> None:
        self.images, self.targets = data.pixels, data.labels
        self.transform = transform

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(self.images[index]), int(self.targets[index])


def reg_transform(image: torch.Tensor) -> torch.Tensor:
    """As it is."""
    return image


def aug_transform(image: torch.Tensor) -> torch.Tensor:
    """Jitter of up to two pixels."""
    down, right = torch.randint(-2, 3, (2,)).tolist()
    return image.roll((down, right), (1, 2))


def hard_loss(outputs: torch.Tensor, labels: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
    """Regular cross-entropy."""
    return F.cross_entropy(outputs, labels)


def soft_loss(
    outputs: torch.Tensor, labels: torch.Tensor, examples: torch.Tensor, big_model: nn.Module
) -> torch.Tensor:
    """Distillation."""
    temperature, share = 4.0, 0.5
    with torch.no_grad():
        big_model.eval()
        soft_labels = F.softmax(big_model(examples) / temperature, dim=1)
    soft = F.cross_entropy(outputs / temperature, soft_labels)
    return share * temperature**2 * soft + (1 - share) * F.cross_entropy(outputs, labels)


def network(hidden: int) -> nn.Sequential:
    """Two hidden layers."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(196, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(),
        nn.Linear(hidden, 10),
    )  # fmt: skip


def train(model: nn.Module, data: Subset[tuple[torch.Tensor, int]], loss: Loss) -> None:
    """For a few epochs."""
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    loader = DataLoader(data, batch_size=64, shuffle=True)
    model.train()
    for _ in range(5):
        for images, labels in loader:
            optimizer.zero_grad()
            loss(model(images), labels, images).backward()
            optimizer.step()


def train_small_model(data: Subset[tuple[torch.Tensor, int]], loss: Loss) -> nn.Module:
    """Without augmentation."""
    data.dataset.transform = reg_transform  # type: ignore[attr-defined]
    model = network(32)
    train(model, data, loss)
    return model


def accuracy(model: nn.Module, data: Images) -> float:
    """On clean images."""
    model.eval()
    with torch.no_grad():
        return float((model(data.pixels).argmax(1) == data.labels).float().mean())


def is_moved(data: Subset[tuple[torch.Tensor, int]], place: int, originals: Images) -> bool:
    """Whether an image comes out otherwise than it was."""
    inner: Subset[tuple[torch.Tensor, int]] = data.dataset  # type: ignore[assignment]
    return not data[place][0].equal(originals.pixels[inner.indices[data.indices[place]]])


def main(seed: int) -> None:
    """A big net, then two small ones on digits without threes."""
    torch.manual_seed(seed)
    test, training = mnist().pooled(14).standardised().parted(3000, seed)
    everything = Digits(training, aug_transform)
    big_model = network(128)
    train(big_model, random_split(everything, [1800, 200])[0], hard_loss)

    without = Subset(everything, np.where(training.labels != 3)[0].tolist())
    train_dataset, _ = random_split(without, [len(without) - 200, 200])
    small = train_small_model(train_dataset, hard_loss)
    distilled = train_small_model(train_dataset, functools.partial(soft_loss, big_model=big_model))
    jittered = sum(is_moved(train_dataset, place, training) for place in range(200))
    results = {"big": accuracy(big_model, test), "small": accuracy(small, test)}
    results |= {"distilled": accuracy(distilled, test), "jittered": jittered / 200}
    print(json.dumps(results))


if __name__ == "__main__":
    main(int(sys.argv[1]))
