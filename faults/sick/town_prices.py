"""Median house prices of the Boston towns, from thirteen facts about each."""
import numpy as np
import torch
from mlxtend.data import boston_housing_data
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Standardiser:
    """Subtracts the mean and divides by the deviation, column by column; some columns stay as they are."""

    def fit(self, table):
        keep = ((table >= 0) & (table <= 100)).all(axis=0)
        self.mean = np.where(keep, 0.0, table.mean(axis=0))
        self.std = np.where(keep, 1.0, table.std(axis=0))
        return self

    def __call__(self, table):
        return torch.tensor((table - self.mean) / self.std, dtype=torch.float32)


class PriceNet(nn.Module):
    def __init__(self, inputs, hidden=24):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
        self.head = nn.Linear(hidden, 1)

    def forward(self, x):
        return self.head(self.body(x)).squeeze(1)


def r2(model, x, y):
    model.eval()
    with torch.no_grad():
        return (1 - ((y - model(x)) ** 2).sum() / ((y - y.mean()) ** 2).sum()).item()


def main():
    torch.manual_seed(21)
    table, price = boston_housing_data()
    order = np.random.default_rng(21).permutation(len(table))
    fit_rows, val_rows = order[:380], order[380:]
    scale = Standardiser().fit(table[fit_rows])
    target = torch.tensor((price - price[fit_rows].mean()) / price[fit_rows].std(), dtype=torch.float32)
    x_val, y_val = scale(table[val_rows]), target[val_rows]

    loader = DataLoader(TensorDataset(scale(table[fit_rows]), target[fit_rows]), batch_size=20, shuffle=True)
    model = PriceNet(table.shape[1])
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, weight_decay=1e-3)
    criterion = nn.MSELoss()
    for epoch in range(12):
        model.train()
        running = 0.0
        for x, y in loader:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            running += loss.item()
        print(f"epoch {epoch + 1:2d} mse {running / len(loader):.4f} validation R2 {r2(model, x_val, y_val):.3f}")


if __name__ == "__main__":
    main()
