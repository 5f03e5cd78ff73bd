"""Train a digits network from a table of settings."""
import json

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, Subset, TensorDataset

SETTINGS = json.loads("""{
    "model": {"hidden": [48, 32]},
    "data": {"batch_size": 40, "held_out": 400},
    "optimizer": {"name": "Adam", "lr": 2e-4, "weight_decay": 1e-4},
    "epochs": 7,
    "seed": 24
}""")


def make_model(hidden):
    layers, n_in = [], 64
    for n_out in hidden:
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
        nn.init.kaiming_normal_(layers[-2].weight, nonlinearity="relu")
        n_in = n_out
    return nn.Sequential(*layers, nn.Linear(n_in, 10))


def make_optimizer(parameters, name, **options):
    return getattr(torch.optim, name)(parameters, **options)


def make_loaders(batch_size, held_out):
    digits = load_digits()
    x, y = torch.tensor(digits.data, dtype=torch.float32), torch.tensor(digits.target)
    order = torch.randperm(len(x)).tolist()
    train, test = order[held_out:], order[:held_out]
    data = TensorDataset((x - x[train].mean()) / x[train].std(), y)
    return (
        DataLoader(Subset(data, train), batch_size=batch_size, shuffle=True),
        DataLoader(Subset(data, test), batch_size=held_out),
    )


def evaluate(model, loader):
    model.eval()
    with torch.no_grad():
        right = sum((model(x).argmax(1) == y).sum().item() for x, y in loader)
    return right / len(loader.dataset)


def run(settings):
    torch.manual_seed(settings["seed"])
    train_loader, test_loader = make_loaders(**settings["data"])
    model = make_model(**settings["model"])
    optimizer = make_optimizer(model.parameters(), **settings["optimizer"])
    criterion = nn.CrossEntropyLoss()
    for epoch in range(settings["epochs"]):
        model.train()
        total = 0.0
        for x, y in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            total += loss.item() / len(train_loader)
        print(f"epoch {epoch + 1}  loss {total:.4f}  accuracy {evaluate(model, test_loader):.4f}")


if __name__ == "__main__":
    run(SETTINGS)
