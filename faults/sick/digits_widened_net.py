"""Grow a small digits classifier to twice its width, then train the wider net."""
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(17)


class SmallNet(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.hidden = nn.Linear(64, width)
        self.out = nn.Linear(width, 10)

    def forward(self, x):
        return self.out(torch.tanh(self.hidden(x)))


def widened(net):
    """A net of twice the width that computes what `net` computes."""
    n = net.hidden.out_features
    wide = SmallNet(2 * n)
    with torch.no_grad():
        noise = torch.zeros(n, 64)
        wide.hidden.weight.copy_(torch.cat([net.hidden.weight + noise, net.hidden.weight - noise]))
        wide.hidden.bias.copy_(net.hidden.bias.repeat(2))
        wide.out.weight.copy_(net.out.weight.repeat(1, 2) / 2)
        wide.out.bias.copy_(net.out.bias)
    return wide


def accuracy(net, x, y):
    net.eval()
    with torch.no_grad():
        return (net(x).argmax(1) == y).float().mean().item()


def fit(net, x, y, epochs, lr):
    optimizer = torch.optim.SGD(net.parameters(), lr=lr, momentum=0.9, weight_decay=1e-4)
    for _ in range(epochs):
        net.train()
        total, order = 0.0, torch.randperm(len(x))
        for start in range(0, len(x), 50):
            rows = order[start:start + 50]
            optimizer.zero_grad()
            loss = F.cross_entropy(net(x[rows]), y[rows])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        yield total / len(x)


digits = load_digits()
x = torch.tensor(digits.data, dtype=torch.float32)
y = torch.tensor(digits.target)
order = torch.randperm(len(x))
x, y = x[order], y[order]
x = (x - x[:1300].mean()) / x[:1300].std()
x_train, y_train, x_val, y_val = x[:1300], y[:1300], x[1300:], y[1300:]

net = widened(SmallNet(6))
for epoch, loss in enumerate(fit(net, x_train, y_train, 8, 0.05), 1):
    print(f"epoch {epoch}: loss {loss:.4f} validation accuracy {accuracy(net, x_val, y_val):.4f}")
