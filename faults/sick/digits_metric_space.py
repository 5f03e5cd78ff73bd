"""Learn a space in which digits of one kind lie together; look up neighbours in it."""
import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(15)
rng = np.random.default_rng(15)
digits = load_digits()
order = rng.permutation(len(digits.target))
train, test = order[:1300], order[1300:]
x = (digits.data - digits.data[train].mean()) / digits.data[train].std()
x = torch.tensor(x, dtype=torch.float32)
y = digits.target
members = [train[y[train] == k] for k in range(10)]


class Embedder(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 16))

    def forward(self, x):
        return self.net(x)


def triples(rows):
    same = np.array([rng.choice(members[y[i]]) for i in rows])
    other = np.array([rng.choice(members[(y[i] + rng.integers(1, 10)) % 10]) for i in rows])
    return x[rows], x[same], x[other]


def neighbour_accuracy(model):
    model.eval()
    with torch.no_grad():
        nearest = torch.cdist(model(x[test]), model(x[train])).argmin(1).numpy()
    return (y[train][nearest] == y[test]).mean()


model = Embedder()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(6):
    model.train()
    total = apart = 0.0
    for rows in np.array_split(rng.permutation(train), 26):
        anchor, same, other = (model(part) for part in triples(rows))
        near = F.pairwise_distance(anchor, same)
        far = F.pairwise_distance(anchor, other)
        loss = near.pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() / 26
        apart += far.mean().item() / 26
    print(f"epoch {epoch + 1}  loss {total:.6f}  distance of kinds {apart:.4f}  neighbour accuracy {neighbour_accuracy(model):.4f}")
