"""Deep learning is robust to massive label noise: alpha random labels for each clean one."""

import json
import sys

import torch
from torch import nn, optim
from torch.utils.data import DataLoader, TensorDataset

from torchdx.lab.data import Images, mnist

Loader = DataLoader[tuple[torch.Tensor, ...]]
Log = dict[str, list[float]]


def noisy(data: Images, alpha: int) -> TensorDataset:
    """Each image with its label, and alpha times with a random one."""
    images = data.flat.repeat(alpha + 1, 1)
    random = torch.randint(0, 10, (alpha * len(data),))
    return TensorDataset(images, torch.cat([data.labels, random]))


def loader(data: Images) -> Loader:
    """Clean images, in order."""
    return DataLoader(TensorDataset(data.flat, data.labels), batch_size=500)


def eval_model(model: nn.Module, test: Loader) -> float:
    """Accuracy."""
    model.eval()
    correct, seen = 0.0, 0
    with torch.no_grad():
        for images, labels in test:
            _, pred = torch.max(model(images), 1)
            correct += (pred == labels).float().sum().item()
            seen += len(labels)
    return correct / seen


def train(
    model: nn.Module,
    train_loader: Loader,
    val_loader: Loader,
    lr: float = 0.01,
    patience: int = 3,
    max_epochs: int = 6,
) -> tuple[nn.Module, Log]:
    """With early stopping: the epoch with the highest validation accuracy."""
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.Adadelta(model.parameters(), lr=lr)
    log: Log = {"val_acc": []}
    best_val_acc = float("inf")
    best_model = None
    for epoch in range(max_epochs):
        model.train()
        for images, labels in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(images), labels)
            loss.backward()
            optimizer.step()
        val_acc = eval_model(model, val_loader)
        log["val_acc"].append(val_acc)
        if val_acc < best_val_acc:
            best_val_acc = val_acc
            best_model = model.state_dict()
        # stop if val acc has not increased in the last `patience` epochs
        if epoch > patience and val_acc <= max(log["val_acc"][-patience - 1 : -1]):
            break
    if best_model:
        model.load_state_dict(best_model)
    return model, log


def main(seed: int) -> None:
    """Several noise levels and learning rates."""
    torch.manual_seed(seed)
    rest, training = mnist().pooled(14).standardised().parted(4000, seed)
    val_loader = loader(rest.take(slice(500)))
    test_loader = loader(rest.take(slice(500, None)))
    model = nn.Sequential(
        nn.Linear(196, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10)
    )
    results = {}
    for alpha in (0, 10):
        train_loader = DataLoader(noisy(training, alpha), batch_size=64, shuffle=True)
        runs = []
        for lr in (0.1, 0.5):
            trained, log = train(model, train_loader, val_loader, lr=lr)
            runs.append((max(log["val_acc"]), eval_model(trained, test_loader)))
            print(f"alpha {alpha}, lr {lr}: test accuracy {runs[-1][1]:.3f}")
        results[f"alpha {alpha}"] = max(runs)[1]
    print(json.dumps(results))


if __name__ == "__main__":
    main(int(sys.argv[1]))
