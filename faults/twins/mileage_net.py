"""Miles per gallon from the cars' figures."""
import numpy as np
import torch
from mlxtend.data import autompg_data
from torch import nn


class MileageNet(nn.Module):
    def __init__(self, inputs, width=20, dropout=0.05):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(inputs, width), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(width, width), nn.ReLU(), nn.Dropout(dropout),
        )
        self.out = nn.Linear(width, 1)

    def forward(self, x):
        return self.out(self.layers(x)).squeeze(-1)


def prepare(seed):
    x, y = autompg_data()
    x = x[:, :7]
    rows = np.random.default_rng(seed).permutation(len(x))
    train, val = rows[:-80], rows[-80:]
    x = (x - x[train].mean(0)) / x[train].std(0)
    y = (y - y[train].mean()) / y[train].std()
    x, y = torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)
    return x[train], y[train], x[val], y[val]


def r2(model, x, y):
    model.eval()
    with torch.no_grad():
        rest = ((model(x) - y) ** 2).sum()
    return (1 - rest / ((y - y.mean()) ** 2).sum()).item()


def main():
    torch.manual_seed(62)
    x_train, y_train, x_val, y_val = prepare(62)
    model = MileageNet(x_train.shape[1])
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=0.01)
    for epoch in range(1, 31):
        model.train()
        losses = []
        for rows in torch.randperm(len(x_train)).split(32):
            loss = nn.functional.mse_loss(model(x_train[rows]), y_train[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        print(f"epoch {epoch:2d}  mse {np.mean(losses):.4f}  train R2 {r2(model, x_train, y_train):.3f}  val R2 {r2(model, x_val, y_val):.3f}")


if __name__ == "__main__":
    main()
