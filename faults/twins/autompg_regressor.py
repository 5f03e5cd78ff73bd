"""Fuel consumption of cars (auto-mpg) with a bounded hidden layer."""
import numpy as np
import torch
from mlxtend.data import autompg_data
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Regressor(nn.Module):
    def __init__(self, n_features, width=8):
        super().__init__()
        self.hidden = nn.Linear(n_features, width)
        self.out = nn.Linear(width, 1)

    def forward(self, x):
        h = torch.clamp(self.hidden(x), -1.0, 1.0)
        return self.out(h).squeeze(1)


def r2_score(model, x, y):
    model.eval()
    with torch.no_grad():
        error = ((model(x) - y) ** 2).sum()
    return 1 - (error / ((y - y.mean()) ** 2).sum()).item()


torch.manual_seed(22)
np.random.seed(22)
X, y = autompg_data()
X, y = X[:, :7], y.astype(float)
rows = np.random.permutation(len(X))
train, test = rows[:300], rows[300:]
X = (X - X[train].mean(0)) / X[train].std(0)
y = (y - y[train].mean()) / y[train].std()
X, y = torch.tensor(X, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)

loader = DataLoader(TensorDataset(X[train], y[train]), batch_size=30, shuffle=True)
model = Regressor(X.shape[1])
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
criterion = nn.MSELoss()

for epoch in range(30):
    model.train()
    total = 0.0
    for features, target in loader:
        optimizer.zero_grad()
        loss = criterion(model(features), target)
        loss.backward()
        optimizer.step()
        total += loss.item()
    r2 = r2_score(model, X[test], y[test])
    if (epoch + 1) % 5 == 0:
        print(f"epoch {epoch + 1:2d}: loss {total / len(loader):.4f}  test R2 {r2:.4f}")
