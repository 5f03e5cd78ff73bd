"""Test-time adaptation of batch norm by lowering the entropy of answers (TENT), and Norm beside."""

import copy
import functools
import json
import sys

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from torchdx.lab.data import Images, mnist


def get_model() -> nn.Sequential:
    """A small conv net with batch norm."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(16 * 9, 10),
    )  # fmt: skip


def train(model: nn.Module, data: Images) -> None:
    """On clean images."""
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    loader = DataLoader(TensorDataset(data.pixels, data.labels), batch_size=64, shuffle=True)
    model.train()
    for _ in range(3):
        for images, labels in loader:
            optimizer.zero_grad()
            F.cross_entropy(model(images), labels).backward()
            optimizer.step()


def corrupt(images: torch.Tensor) -> torch.Tensor:
    """Less contrast, another brightness, noise."""
    return 0.5 * images + 0.8 + 0.35 * torch.randn_like(images)


def eval_plain(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> float:
    """Errors without adaptation."""
    model.eval()
    with torch.no_grad():
        return float((model(images).argmax(1) != labels).float().mean())


def eval_norm(model: nn.Module, loader: DataLoader[tuple[torch.Tensor, ...]]) -> float:
    """Errors with the statistics of each batch."""
    errors = []
    model.train()
    with torch.no_grad():
        for images, labels in loader:
            errors.append(float((model(images).argmax(1) != labels).float().mean()))
    return sum(errors) / len(errors)


def prepare_for_test_time(module: nn.Module, reset_stats: bool = True) -> None:
    """Only update BN layers."""
    if isinstance(module, nn.BatchNorm2d):
        if reset_stats:
            module.reset_running_stats()
        module.requires_grad = True  # type: ignore[assignment]
    else:
        module.requires_grad = False  # type: ignore[assignment]
    for child in module.children():
        prepare_for_test_time(child, reset_stats)


def eval_tent(
    model: nn.Module, loader: DataLoader[tuple[torch.Tensor, ...]], reset_stats: bool, lr: float
) -> float:
    """Errors while adapting, one pass."""
    model.apply(functools.partial(prepare_for_test_time, reset_stats=reset_stats))
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    errors = []
    model.train()
    for images, labels in loader:
        optimizer.zero_grad()
        preds = model(images)
        entropy = -(preds.softmax(dim=1) * preds.log_softmax(dim=1)).sum(dim=1)
        loss = entropy.mean()
        loss.backward()
        optimizer.step()
        errors.append(float((preds.argmax(1) != labels).float().mean()))
    return sum(errors) / len(errors)


def main(seed: int) -> None:
    """Train, corrupt, adapt."""
    torch.manual_seed(seed)
    test, clean = mnist().pooled(14).standardised().parted(2400, seed)
    trained = get_model()
    train(trained, clean)
    images = corrupt(test.pixels)
    loader = DataLoader(TensorDataset(images, test.labels), batch_size=32)
    results = {"source": eval_plain(trained, images, test.labels)}
    results["norm"] = eval_norm(copy.deepcopy(trained), loader)
    results["tent"] = eval_tent(copy.deepcopy(trained), loader, reset_stats=False, lr=1e-3)
    results["reset"] = eval_tent(copy.deepcopy(trained), loader, reset_stats=True, lr=1e-3)
    print(json.dumps(results))


if __name__ == "__main__":
    main(int(sys.argv[1]))
