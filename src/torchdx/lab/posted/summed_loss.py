"""Handwritten digits by linear layers with ELU activations, softmax and cross-entropy."""

import json
import sys

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from torchdx.lab.data import mnist


def evaluate(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    """Share of images told right."""
    model.eval()
    with torch.no_grad():
        return float((model(x).argmax(dim=1) == y).float().mean())


def main(seed: int) -> None:
    """Train for a few epochs."""
    torch.manual_seed(seed)
    test, train = mnist().pooled(14).standardised().parted(1000, seed)
    x_test, y_test = test.flat, test.labels
    loader = DataLoader(TensorDataset(train.flat, train.labels), batch_size=128, shuffle=True)

    model = nn.Sequential(
        nn.Linear(196, 128), nn.ELU(), nn.Linear(128, 128), nn.ELU(), nn.Linear(128, 10)
    )
    for layer in model:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
    criterion = nn.CrossEntropyLoss(reduction="sum")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    for epoch in range(4):
        model.train()
        for images, labels in loader:
            optimizer.zero_grad()
            loss = criterion(model(images), labels)
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch + 1}: test accuracy {evaluate(model, x_test, y_test):.3f}")
    print(json.dumps({"accuracy": evaluate(model, x_test, y_test)}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
