import numpy as np
import torch
from mlxtend.data import boston_housing_data
from torch import nn


def standardised(a, n):
    return (a - a[:n].mean(axis=0)) / a[:n].std(axis=0)


class HomeValue:
    """A regressor with the manners of scikit-learn."""

    def __init__(self, hidden=32, lr=0.01, epochs=15, batch=25):
        self.net = nn.Sequential(nn.Linear(13, hidden), nn.ReLU(), nn.Linear(hidden, 1))
        self.criterion = nn.MSELoss()
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=lr, momentum=0.9)
        self.epochs = epochs
        self.batch = batch

    def fit(self, x, y, x_val, y_val):
        for epoch in range(self.epochs):
            self.net.train()
            losses = []
            for rows in torch.randperm(len(x)).split(self.batch):
                self.optimizer.zero_grad()
                output = self.net(x[rows]).squeeze(1)
                loss = self.criterion(output, y[rows])
                loss.backward()
                self.optimizer.step()
                losses.append(loss.item())
            r2 = self.score(x_val, y_val)
            print(f"epoch {epoch + 1:2d} loss {np.mean(losses):.4f} validation R2 {r2:.4f}")
        return self

    def predict(self, x):
        self.net.eval()
        with torch.no_grad():
            return self.net(x).squeeze(1)

    def score(self, x, y):
        return 1 - ((self.predict(x) - y) ** 2).mean().item() / y.var(unbiased=False).item()


if __name__ == "__main__":
    torch.manual_seed(4)
    features, value = boston_housing_data()
    rows = np.random.default_rng(4).permutation(len(value))
    features, value = standardised(features[rows], 400), standardised(value[rows], 400)
    x, y = (torch.tensor(a, dtype=torch.float32) for a in (features, value))
    HomeValue().fit(x[:400], y[:400], x[400:], y[400:])
