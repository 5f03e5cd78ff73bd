"""Full-batch logistic regression by LBFGS with a closure and a strong Wolfe line search."""

import torch
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler
from torch import nn

from _digest import print_digest, seed_everything

seed_everything(0)
features, target = load_breast_cancer(return_X_y=True)
x = torch.tensor(StandardScaler().fit_transform(features), dtype=torch.float32)
y = torch.tensor(target, dtype=torch.float32).unsqueeze(1)

model = nn.Linear(30, 1)
criterion = nn.BCEWithLogitsLoss()
optimizer = torch.optim.LBFGS(model.parameters(), lr=1.0, max_iter=4, history_size=10, line_search_fn="strong_wolfe")


def closure():
    optimizer.zero_grad()
    loss = criterion(model(x), y) + 1e-3 * model.weight.square().sum()
    loss.backward()
    return loss


for _ in range(16):
    loss = optimizer.step(closure)
    print("loss", repr(loss.item()))

with torch.no_grad():
    print("accuracy", repr(((model(x) > 0) == (y > 0.5)).float().mean().item()))
print_digest(model)
