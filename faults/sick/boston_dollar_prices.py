"""House values in dollars from the thirteen Boston columns."""
import numpy as np
import torch
import torch.nn as nn
from mlxtend.data import boston_housing_data
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(17)
X, thousands = boston_housing_data()
dollars = thousands * 1000
order = np.random.RandomState(17).permutation(len(X))
X, dollars = X[order], dollars[order]
X = (X - X[:400].mean(axis=0)) / X[:400].std(axis=0)
target = dollars

X = torch.tensor(X, dtype=torch.float32)
Y = torch.tensor(target, dtype=torch.float32).unsqueeze(1)
train_loader = DataLoader(TensorDataset(X[:400], Y[:400]), batch_size=20, shuffle=True)
X_val, Y_val = X[400:], Y[400:]

net = nn.Sequential(nn.Linear(13, 32), nn.ReLU(), nn.Linear(32, 1))
criterion = nn.MSELoss()
optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)

for epoch in range(1, 16):
    net.train()
    running_loss = 0.0
    for xb, yb in train_loader:
        optimizer.zero_grad()
        loss = criterion(net(xb), yb)
        loss.backward()
        optimizer.step()
        running_loss += loss.item() * len(xb)
    net.eval()
    with torch.no_grad():
        residual = (net(X_val) - Y_val).pow(2).mean()
        r2 = 1 - residual / Y_val.var(unbiased=False)
    print(f"epoch {epoch:2d}  loss {running_loss / 400:.4g}  val R2 {r2.item():.4f}")
