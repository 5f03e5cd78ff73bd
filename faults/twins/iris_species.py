"""Iris species from the four flower measurements."""
import numpy as np
import torch
from mlxtend.data import iris_data
from torch import nn


class IrisNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(4, 16)
        self.output = nn.Linear(16, 3)

    def forward(self, x):
        x = torch.tanh(self.hidden(x))
        return self.output(x)


def load(seed=3):
    X, y = iris_data()
    order = np.random.RandomState(seed).permutation(len(X))
    train, test = order[:110], order[110:]
    mean, std = X[train].mean(0), X[train].std(0)
    X = torch.tensor((X - mean) / std, dtype=torch.float32)
    y = torch.tensor(y).long()
    return X[train], y[train], X[test], y[test]


def main():
    torch.manual_seed(3)
    x_train, y_train, x_test, y_test = load()
    model = IrisNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    loss_fn = nn.CrossEntropyLoss()

    for epoch in range(40):
        model.train()
        total = 0.0
        for idx in torch.randperm(len(x_train)).split(22):
            optimizer.zero_grad()
            loss = loss_fn(model(x_train[idx]), y_train[idx])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(idx)
        if (epoch + 1) % 5 == 0:
            model.eval()
            with torch.no_grad():
                acc = (model(x_test).argmax(1) == y_test).float().mean()
            print(f"epoch {epoch + 1:3d}: loss {total / len(x_train):.4f}, test accuracy {acc:.4f}")


if __name__ == "__main__":
    main()
