"""Predict the progress of diabetes; the epoch that is best on the validation rows is the one tested."""
import copy

import torch
import torch.nn as nn
from sklearn.datasets import load_diabetes
from torch.utils.data import DataLoader, TensorDataset


def r2(model, x, y):
    model.eval()
    with torch.no_grad():
        residual = y - model(x)
    return 1 - (residual.square().sum() / (y - y.mean()).square().sum()).item()


def main():
    torch.manual_seed(27)
    X, y = load_diabetes(return_X_y=True, scaled=False)
    X, y = torch.tensor(X, dtype=torch.float32), torch.tensor(y, dtype=torch.float32).unsqueeze(1)
    rows = torch.randperm(len(X))
    train, val, test = rows[:200], rows[200:320], rows[320:]
    X = (X - X[train].mean(0)) / X[train].std(0)
    y = (y - y[train].mean()) / y[train].std()

    loader = DataLoader(TensorDataset(X[train], y[train]), batch_size=20, shuffle=True)
    model = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    criterion = nn.MSELoss()

    best_r2, best_epoch, best_state = -float("inf"), None, None
    for epoch in range(40):
        model.train()
        total = 0.0
        for xb, yb in loader:
            optimizer.zero_grad()
            loss = criterion(model(xb), yb)
            loss.backward()
            optimizer.step()
            total += loss.item()
        val_r2 = r2(model, X[val], y[val])
        if val_r2 > best_r2:
            best_r2, best_epoch = val_r2, epoch
            best_state = copy.deepcopy(model.state_dict())
        if epoch % 8 == 7:
            print(f"epoch {epoch + 1}: train mse {total / len(loader):.3f}, validation R2 {val_r2:.3f}")

    model.load_state_dict(best_state)
    print(f"best epoch {best_epoch + 1} with validation R2 {best_r2:.3f}")
    print(f"test R2 {r2(model, X[test], y[test]):.3f}")


if __name__ == "__main__":
    main()
