"""Progression of diabetes after a year: a small regression net, target standardised, early stopping."""
import copy

import numpy as np
import torch
from sklearn.datasets import load_diabetes
from torch import nn, optim
from torch.utils.data import DataLoader, TensorDataset

SEED = 0


class Config:
    epochs = 60
    batch_size = 32
    lr = 3e-3
    weight_decay = 1e-2
    patience = 12
    hidden = 24


class Net(nn.Module):
    def __init__(self, n_in, hidden):
        super().__init__()
        self.fc1 = nn.Linear(n_in, hidden)
        self.act1 = nn.Tanh()
        self.drop = nn.Dropout(0.1)
        self.fc2 = nn.Linear(hidden, hidden)
        self.act2 = nn.Tanh()
        self.out = nn.Linear(hidden, 1)
        self.reset()

    def reset(self):
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, x):
        h = self.drop(self.act1(self.fc1(x)))
        h = self.act2(self.fc2(h))
        return self.out(h).squeeze(-1)


def prepare():
    """Standardised parts: 262 rows to fit, 60 to stop by, 120 to test."""
    X, y = load_diabetes(return_X_y=True)
    order = np.random.RandomState(3).permutation(len(y))
    train, val, test = np.split(order, [262, 322])
    X = (X - X[train].mean(0)) / X[train].std(0)
    y = (y - y[train].mean()) / y[train].std()
    X, y = torch.tensor(X, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)
    return X[train], y[train], X[val], y[val], X[test], y[test]


def score(net, x, y):
    """Mean squared error and R2."""
    net.eval()
    with torch.no_grad():
        error = (net(x) - y).pow(2).mean().item()
    return error, 1 - error / y.var(unbiased=False).item()


def fit(net, cfg, x_train, y_train, x_val, y_val):
    loader = DataLoader(TensorDataset(x_train, y_train), batch_size=cfg.batch_size, shuffle=True)
    criterion = nn.MSELoss()
    optimizer = optim.AdamW(net.parameters(), lr=cfg.lr, weight_decay=cfg.weight_decay)
    best, best_state, stale = float("inf"), None, 0
    for epoch in range(cfg.epochs):
        net.train()
        losses = []
        for xb, yb in loader:
            optimizer.zero_grad()
            loss = criterion(net(xb), yb)
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), max_norm=2.0)
            optimizer.step()
            losses.append(loss.item())
        print(f"epoch {epoch + 1}: training loss {np.mean(losses):.4f}")
        val_error, val_r2 = score(net, x_val, y_val)
        print(f"  validation error {val_error:.4f} R2 {val_r2:.3f}")
        stale = 0 if val_error < best else stale + 1
        if val_error < best:
            best, best_state = val_error, copy.deepcopy(net.state_dict())
        if stale >= cfg.patience:
            break
    if best_state is not None:
        net.load_state_dict(best_state)


if __name__ == "__main__":
    torch.manual_seed(SEED)
    x_train, y_train, x_val, y_val, x_test, y_test = prepare()
    net = Net(x_train.shape[1], Config.hidden)
    fit(net, Config(), x_train, y_train, x_val, y_val)
    print(f"test R2 {score(net, x_test, y_test)[1]:.4f}")
