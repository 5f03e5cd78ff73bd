import argparse

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def table():
    """Ten means, ten errors, and the ten errors relative to their means."""
    bunch = load_breast_cancer()
    means, errors = bunch.data[:, :10], bunch.data[:, 10:20]
    relative = errors / means
    return np.hstack([means, errors, relative]), bunch.target


def tensors(args):
    x, y = table()
    rows = np.random.default_rng(args.seed).permutation(len(y))
    train, test = rows[:400], rows[400:]
    x = StandardScaler().fit(x[train]).transform(x).clip(-4, 4)
    x, y = torch.tensor(x, dtype=torch.float32), torch.tensor(y)
    return TensorDataset(x[train], y[train]), x[test], y[test]


class CellNet(nn.Module):
    def __init__(self, inputs, hidden):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(inputs, hidden), nn.Tanh())
        self.head = nn.Linear(hidden, 2)

    def forward(self, x):
        return self.head(self.body(x))


def fit(model, loader, optimizer):
    model.train()
    losses, skipped = [], 0
    for xb, yb in loader:
        loss = F.cross_entropy(model(xb), yb)
        if not torch.isfinite(loss):
            skipped += 1
            continue
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return sum(losses) / len(losses), skipped


@torch.no_grad()
def evaluate(model, x, y):
    model.eval()
    return (model(x).softmax(1)[:, 1].gt(0.5) == (y == 1)).float().mean().item()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--lr", type=float, default=5e-3)
    parser.add_argument("--seed", type=int, default=30)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    train_set, x_test, y_test = tensors(args)
    loader = DataLoader(train_set, batch_size=16, shuffle=True)
    model = CellNet(x_test.shape[1], 12)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    for epoch in range(args.epochs):
        loss, skipped = fit(model, loader, optimizer)
        score = evaluate(model, x_test, y_test)
        print(f"epoch {epoch}: loss {loss:.4f} skipped {skipped} accuracy {score:.4f}")


if __name__ == "__main__":
    main()
