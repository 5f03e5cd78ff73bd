"""Fuel consumption of cars with a tall stack of residual blocks."""
import torch
from mlxtend.data import autompg_data
from torch import nn

torch.manual_seed(2)


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm = nn.Identity()
        self.grow = nn.Linear(width, 2 * width)
        self.shrink = nn.Linear(2 * width, width)
        for layer in (self.grow, self.shrink):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)

    def forward(self, x):
        return x + self.shrink(torch.relu(self.grow(self.norm(x))))


class Tower(nn.Module):
    def __init__(self, n_features, width=24, height=20):
        super().__init__()
        self.lift = nn.Linear(n_features, width)
        self.blocks = nn.Sequential(*[Block(width) for _ in range(height)])
        self.norm = nn.Identity()
        self.mpg = nn.Linear(width, 1)

    def forward(self, x):
        return self.mpg(self.norm(self.blocks(self.lift(x)))).squeeze(1)


X, y = autompg_data()
X, y = torch.tensor(X[:, :7].astype("float32")), torch.tensor(y.astype("float32"))
perm = torch.randperm(len(X))
train, test = perm[:312], perm[312:]
X = (X - X[train].mean(0)) / X[train].std(0)
y = (y - y[train].mean()) / y[train].std()

tower = Tower(X.shape[1])
optimizer = torch.optim.SGD(tower.parameters(), lr=0.01, momentum=0.8, weight_decay=1e-3)
mse = nn.MSELoss()
for epoch in range(1, 9):
    tower.train()
    total = 0.0
    for rows in train[torch.randperm(312)].split(26):
        optimizer.zero_grad()
        loss = mse(tower(X[rows]), y[rows])
        loss.backward()
        optimizer.step()
        total += loss.item() / 12
    tower.eval()
    with torch.no_grad():
        residual = tower(X[test]) - y[test]
    r2 = 1 - residual.pow(2).sum() / (y[test] - y[test].mean()).pow(2).sum()
    print(f"epoch {epoch} mse {total:.4g} test R2 {r2.item():.4g}")
