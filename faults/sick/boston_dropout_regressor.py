"""House prices in Boston with a dropout network."""
import torch
import torch.nn as nn
from mlxtend.data import boston_housing_data

torch.manual_seed(15)
X, y = boston_housing_data()
X = torch.tensor(X, dtype=torch.float32)
y = torch.tensor(y, dtype=torch.float32)
perm = torch.randperm(len(X))
train, val = perm[:400], perm[400:]
X = (X - X[train].mean(0)) / X[train].std(0)
y_mean, y_std = y[train].mean(), y[train].std()
y = (y - y_mean) / y_std

model = nn.Sequential(
    nn.Linear(13, 64), nn.ReLU(), nn.Dropout(0.3),
    nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.3),
    nn.Linear(64, 1),
)
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
mse = nn.MSELoss()


def predict(rows):
    with torch.no_grad():
        return model(X[rows]).squeeze(1)


for epoch in range(1, 26):
    model.train()
    total = 0.0
    for rows in train[torch.randperm(400)].split(40):
        optimizer.zero_grad()
        loss = mse(model(X[rows]).squeeze(1), y[rows])
        loss.backward()
        optimizer.step()
        total += loss.item() * len(rows)
    residual = y[val] - predict(val)
    r2 = 1 - residual.pow(2).sum() / (y[val] - y[val].mean()).pow(2).sum()
    if epoch % 5 == 0:
        print(f"epoch {epoch:3d} train mse {total / 400:.4f} validation R2 {r2.item():.4f}")
