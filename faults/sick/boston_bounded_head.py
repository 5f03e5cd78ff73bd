import argparse

import numpy as np
import torch
from mlxtend.data import boston_housing_data
from torch import nn, optim
from torch.utils.data import DataLoader, TensorDataset


class PriceModel(nn.Module):
    def __init__(self, features, width):
        super().__init__()
        self.inp = nn.Linear(features, width)
        self.mid = nn.Linear(width, width)
        self.out = nn.Linear(width, 1)

    def forward(self, x):
        x = torch.relu(self.inp(x))
        x = torch.relu(self.mid(x))
        x = torch.sigmoid(self.out(x))
        return x[:, 0]


def get_data(seed, n_train=400):
    x, y = boston_housing_data()
    rows = np.random.default_rng(seed).permutation(len(y))
    x, y = x[rows], y[rows]
    x = (x - x[:n_train].mean(0)) / x[:n_train].std(0)
    y = (y - y[:n_train].mean()) / y[:n_train].std()
    x, y = torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)
    return TensorDataset(x[:n_train], y[:n_train]), x[n_train:], y[n_train:]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--width", type=int, default=24)
    opts = parser.parse_args()

    torch.manual_seed(27)
    train_set, x_val, y_val = get_data(27)
    loader = DataLoader(train_set, batch_size=20, shuffle=True)
    model = PriceModel(13, opts.width)
    optimizer = optim.Adam(model.parameters(), lr=4e-3)
    mse = nn.MSELoss()

    for epoch in range(opts.epochs):
        model.train()
        batch_losses = []
        for x, y in loader:
            optimizer.zero_grad()
            loss = mse(model(x), y)
            loss.backward()
            optimizer.step()
            batch_losses.append(loss.item())
        model.eval()
        with torch.no_grad():
            val_loss = mse(model(x_val), y_val).item()
        r2 = 1 - val_loss / y_val.var(unbiased=False).item()
        print(f"epoch {epoch + 1:2d} train {np.mean(batch_losses):.4f} val {val_loss:.4f} R2 {r2:.4f}")
