import numpy as np
import torch
from mlxtend.data import boston_housing_data
from torch import nn

rng = np.random.default_rng(26)
torch.manual_seed(26)


def standardised(values, rows):
    return torch.tensor((values - values[rows].mean(0)) / values[rows].std(0), dtype=torch.float32)


def parameter_groups(model, decay):
    """Weights are decayed, biases are not."""
    weights = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    return [{"params": weights, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]


def r2(model, x, y):
    model.eval()
    with torch.no_grad():
        rest = (y - model(x).squeeze(1)).pow(2).sum()
    return (1 - rest / (y - y.mean()).pow(2).sum()).item()


features, prices = boston_housing_data()
order = rng.permutation(len(prices))
train, test = order[:380], order[380:]
x, y = standardised(features, train), standardised(prices, train)

model = nn.Sequential(nn.Linear(13, 40), nn.Tanh(), nn.Linear(40, 20), nn.Tanh(), nn.Linear(20, 1))
optimizer = torch.optim.SGD(parameter_groups(model, decay=0.001), lr=0.02, momentum=0.9)
mse = nn.MSELoss()

for epoch in range(1, 21):
    model.train()
    losses = []
    for rows in np.array_split(rng.permutation(train), 12):
        loss = mse(model(x[rows]).squeeze(1), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    if epoch % 4 == 0:
        print(f"epoch {epoch:2d} mse {np.mean(losses):.4f} train R2 {r2(model, x[train], y[train]):.3f} "
              f"test R2 {r2(model, x[test], y[test]):.3f}")
