"""Handwritten digits, with a learning rate that is lowered when validation stalls."""

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def load(seed):
    X, y = load_digits(return_X_y=True)
    parts = train_test_split(X / 16.0, y, test_size=0.25, random_state=seed, stratify=y)
    X_train, X_val = (torch.tensor(part, dtype=torch.float32) for part in parts[:2])
    y_train, y_val = (torch.tensor(part) for part in parts[2:])
    return TensorDataset(X_train, y_train), X_val, y_val


@torch.no_grad()
def validate(model, X, y):
    model.eval()
    hits = model(X).argmax(dim=1) == y
    return hits.float().mean().item()


def main(epochs=20, seed=3):
    torch.manual_seed(seed)
    train_set, X_val, y_val = load(seed)
    loader = DataLoader(train_set, batch_size=32, shuffle=True)
    model = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.2, patience=1)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(epochs):
        model.train()
        total = 0.0
        for X, y in loader:
            optimizer.zero_grad()
            loss = criterion(model(X), y)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(y)
        accuracy = validate(model, X_val, y_val)
        scheduler.step(accuracy)
        rate = optimizer.param_groups[0]["lr"]
        print(f"epoch {epoch + 1} loss {total / len(train_set):.4f} accuracy {accuracy:.4f} lr {rate:.2g}")


if __name__ == "__main__":
    main()
