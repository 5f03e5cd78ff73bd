import argparse

import numpy as np
import torch
import torch.nn as nn
from mlxtend.data import autompg_data


class MPGModel(nn.Module):
    def __init__(self, n_features, n_hidden):
        super().__init__()
        self.input = nn.Linear(n_features, n_hidden)
        self.hidden = nn.Linear(n_hidden, n_hidden)
        self.output = nn.Linear(n_hidden, 1)

    def forward(self, x):
        x = torch.relu(self.input(x))
        x = torch.relu(self.hidden(x))
        return self.output(x)


def squared_error(pred, y):
    return ((pred - y) ** 2).mean()


class Trainer:
    def __init__(self, model, lr):
        self.model = model
        self.optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)

    def fit_epoch(self, x, y, batch_size):
        self.model.train()
        losses = []
        for idx in torch.randperm(len(x)).split(batch_size):
            self.optimizer.zero_grad()
            loss = squared_error(self.model(x[idx]), y[idx])
            loss.backward()
            self.optimizer.step()
            losses.append(loss.item())
        return np.mean(losses)

    def r_squared(self, x, y):
        self.model.eval()
        with torch.no_grad():
            pred = self.model(x).numpy().ravel()
        y = y.numpy().ravel()
        return 1 - ((y - pred) ** 2).sum() / ((y - y.mean()) ** 2).sum()


def load(n_train=300):
    X, y = autompg_data()
    X = np.delete(X, 7, axis=1)
    order = np.random.RandomState(0).permutation(len(X))
    X, y = X[order], y[order]
    X = (X - X[:n_train].mean(0)) / X[:n_train].std(0)
    y = (y - y[:n_train].mean()) / y[:n_train].std()
    x_t = torch.tensor(X, dtype=torch.float32)
    y_t = torch.tensor(y, dtype=torch.float32)
    return x_t[:n_train], y_t[:n_train], x_t[n_train:], y_t[n_train:]


if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    ap.add_argument("--hidden", type=int, default=32)
    ap.add_argument("--lr", type=float, default=0.02)
    ap.add_argument("--epochs", type=int, default=25)
    cfg = ap.parse_args()

    torch.manual_seed(9)
    x_train, y_train, x_test, y_test = load()
    trainer = Trainer(MPGModel(x_train.shape[1], cfg.hidden), cfg.lr)
    for epoch in range(cfg.epochs):
        loss = trainer.fit_epoch(x_train, y_train, batch_size=20)
        print(f"epoch={epoch + 1} loss={loss:.4f} test_r2={trainer.r_squared(x_test, y_test):.4f}")
