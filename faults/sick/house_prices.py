"""Median house values of the Boston suburbs, regression with an MLP."""
import numpy as np
import torch
from mlxtend.data import boston_housing_data
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(42)
rng = np.random.default_rng(42)

features, price = boston_housing_data()
rows = rng.permutation(len(features))
train_rows, val_rows = rows[:400], rows[400:]

mu, sigma = features[train_rows].mean(axis=0), features[train_rows].std(axis=0)
features = (features - mu) / sigma
price_mu, price_sigma = price[train_rows].mean(), price[train_rows].std()
price = (price - price_mu) / price_sigma

x = torch.as_tensor(features, dtype=torch.float32)
y = torch.as_tensor(price, dtype=torch.float32)
loader = DataLoader(TensorDataset(x[train_rows], y[train_rows]), batch_size=25, shuffle=True)

model = nn.Sequential(nn.Linear(13, 48), nn.ReLU(), nn.Linear(48, 24), nn.ReLU(), nn.Linear(24, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)


def r2(prediction, target):
    residual = ((prediction - target) ** 2).sum()
    return float(1 - residual / ((target - target.mean()) ** 2).sum())


for epoch in range(20):
    model.train()
    total = 0.0
    for xb, yb in loader:
        pred = model(xb)
        loss = nn.functional.mse_loss(pred, yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(xb)
    model.eval()
    with torch.no_grad():
        score = r2(model(x[val_rows])[:, 0], y[val_rows])
    print(f"epoch {epoch + 1:2d}  mse {total / len(train_rows):.4f}  val R2 {score:.4f}")
