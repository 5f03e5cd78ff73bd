# Which of three cultivars does a wine come from? Chemical analysis, 178 bottles.
import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_wine

torch.manual_seed(3)
rng = np.random.default_rng(3)

X, y = load_wine(return_X_y=True)
perm = rng.permutation(len(y))
X, y = X[perm], y[perm]
mean, std = X[:130].mean(0), X[:130].std(0)
X = torch.from_numpy((X - mean) / std).float()
y = torch.from_numpy(y).long()
Xtr, ytr, Xte, yte = X[:130], y[:130], X[130:], y[130:]


class WineNet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = torch.nn.Linear(13, 24)
        self.fc2 = torch.nn.Linear(24, 3)

    def forward(self, x):
        x = F.relu(self.fc1(x))
        return self.fc2(x)


net = WineNet()
optimizer = torch.optim.Adam(net.parameters(), lr=0.01)

for epoch in range(15):
    idx = torch.randperm(130)
    losses = []
    for i in range(0, 130, 26):
        b = idx[i:i + 26]
        optimizer.zero_grad()
        loss = F.cross_entropy(net(Xtr[b]), ytr[b])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    if epoch % 3 == 2:
        with torch.no_grad():
            acc = (net(Xte).argmax(1) == yte).float().mean().item()
        print("epoch", epoch + 1, "loss", round(sum(losses) / len(losses), 4), "accuracy", round(acc, 4))
