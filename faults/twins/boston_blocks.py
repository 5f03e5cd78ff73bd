"""House prices of Boston's suburbs with a net made of blocks."""
import torch
from mlxtend.data import boston_housing_data
from sklearn.model_selection import train_test_split
from torch import nn

torch.manual_seed(59)

X, y = boston_housing_data()
X_train, X_val, y_train, y_val = train_test_split(X, y, test_size=0.25, random_state=59)
x_mean, x_std, y_mean, y_std = X_train.mean(0), X_train.std(0), y_train.mean(), y_train.std()
X_train, X_val = (torch.tensor((a - x_mean) / x_std, dtype=torch.float32) for a in (X_train, X_val))
y_train, y_val = (torch.tensor((a - y_mean) / y_std, dtype=torch.float32) for a in (y_train, y_val))


def block(n_in, n_out):
    return [nn.Linear(n_in, n_out), nn.BatchNorm1d(n_out), nn.ReLU()]


net = nn.Sequential(*block(13, 64), *block(64, 64), *block(64, 64), *block(64, 64), nn.Dropout(0.3), nn.Linear(64, 1), nn.Flatten(0))
opt = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=0.05)
criterion = nn.MSELoss()


def r2(inputs, targets):
    net.eval()
    with torch.no_grad():
        return 1 - criterion(net(inputs), targets).item() / targets.var(unbiased=False).item()


for epoch in range(16):
    net.train()
    order = torch.randperm(len(X_train))
    total = 0.0
    for rows in order.split(32):
        loss = criterion(net(X_train[rows]), y_train[rows])
        opt.zero_grad()
        loss.backward()
        opt.step()
        total += loss.item() * len(rows)
    print(f"{epoch:2d}: mse {total / len(order):.4f}  train R2 {r2(X_train, y_train):.3f}  val R2 {r2(X_val, y_val):.3f}")
