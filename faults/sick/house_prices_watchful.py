"""House prices (Boston), watching the size of the gradient while training."""
import statistics

import torch
import torch.nn as nn
from mlxtend.data import boston_housing_data
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

torch.manual_seed(81)


def gradient_norm(module, limit):
    """Clip to `limit`; returns the norm of the gradient as it was."""
    norm = nn.utils.clip_grad_norm_(module.parameters(), limit).item()
    module.zero_grad()
    return norm


def prepared():
    X, y = boston_housing_data()
    X_a, X_b, y_a, y_b = train_test_split(X, y, test_size=0.3, random_state=80)
    sx, sy = StandardScaler().fit(X_a), StandardScaler().fit(y_a.reshape(-1, 1))
    out = [sx.transform(X_a), sy.transform(y_a.reshape(-1, 1)), sx.transform(X_b), sy.transform(y_b.reshape(-1, 1))]
    return [torch.tensor(part, dtype=torch.float32) for part in out]


def r2(net, x, y):
    net.eval()
    with torch.no_grad():
        return 1 - ((net(x) - y).pow(2).sum() / (y - y.mean()).pow(2).sum()).item()


x_train, y_train, x_test, y_test = prepared()
net = nn.Sequential(nn.Linear(x_train.size(1), 24), nn.Tanh(), nn.Linear(24, 1))
optimizer = torch.optim.SGD(net.parameters(), lr=0.03, momentum=0.9, weight_decay=1e-3)
mse = nn.MSELoss()

for epoch in range(1, 21):
    net.train()
    norms, losses = [], []
    for rows in torch.randperm(len(x_train)).split(32):
        optimizer.zero_grad()
        loss = mse(net(x_train[rows]), y_train[rows])
        loss.backward()
        norms.append(gradient_norm(net, limit=2.0))
        optimizer.step()
        losses.append(loss.item())
    if epoch % 4 == 0:
        print(f"{epoch:2d}: mse {statistics.mean(losses):.4f}, gradient {statistics.median(norms):.3f}, R2 {r2(net, x_test, y_test):.3f}")
