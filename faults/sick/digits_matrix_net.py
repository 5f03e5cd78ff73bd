"""Digits with a tanh network written out in matrices."""
import numpy as np
import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


class Dense(nn.Module):
    def __init__(self, n_in, n_out, scale):
        super().__init__()
        self.w = nn.Parameter(torch.randn(n_in, n_out) * scale)
        self.b = nn.Parameter(torch.zeros(n_out))

    def forward(self, x):
        return x @ self.w + self.b


class MatrixNet(nn.Module):
    def __init__(self, sizes=(64, 64, 64, 10)):
        super().__init__()
        self.layers = nn.ModuleList()
        for n_in, n_out in zip(sizes[:-1], sizes[1:]):
            self.layers.append(Dense(n_in, n_out, scale=0.5))

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = torch.tanh(layer(x))
        return self.layers[-1](x)


def batches(n, size, rng):
    order = rng.permutation(n)
    for start in range(0, n, size):
        yield torch.from_numpy(order[start:start + size])


def main():
    torch.manual_seed(9)
    rng = np.random.default_rng(9)
    x, y = load_digits(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=400, random_state=9, stratify=y)
    mean, std = x_train.mean(), x_train.std()
    x_train = torch.tensor((x_train - mean) / std, dtype=torch.float32)
    x_test = torch.tensor((x_test - mean) / std, dtype=torch.float32)
    y_train, y_test = torch.tensor(y_train), torch.tensor(y_test)

    net = MatrixNet()
    cross_entropy = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.5, weight_decay=1e-3)
    for epoch in range(8):
        net.train()
        losses = []
        for rows in batches(len(x_train), 40, rng):
            loss = cross_entropy(net(x_train[rows]), y_train[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        net.eval()
        with torch.no_grad():
            accuracy = (net(x_test).argmax(1) == y_test).float().mean()
        print(f"{epoch + 1:2d} loss {np.mean(losses):.4f} test accuracy {accuracy:.4f}")


main()
