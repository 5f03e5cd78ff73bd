"""Record the loss curve of a breast cancer classifier and summarise it."""
import numpy as np
import torch
from sklearn.datasets import load_breast_cancer
from torch import nn

torch.manual_seed(26)
rng = np.random.RandomState(26)

data = load_breast_cancer()
order = rng.permutation(len(data.target))
train, test = order[:420], order[420:]
x = (data.data - data.data[train].mean(axis=0)) / data.data[train].std(axis=0)
x = torch.as_tensor(x, dtype=torch.float32)
y = torch.as_tensor(data.target, dtype=torch.float32).unsqueeze(1)

model = nn.Sequential(nn.Linear(30, 20), nn.GELU(), nn.Linear(20, 1))
optimizer = torch.optim.RMSprop(model.parameters(), lr=2e-3)
bce = nn.BCEWithLogitsLoss()

losses = []
for epoch in range(12):
    rng.shuffle(train)
    for rows in np.array_split(train, 14):
        optimizer.zero_grad()
        loss = bce(model(x[rows]), y[rows])
        loss.backward()
        optimizer.step()
        losses.append(loss)
    print(f"epoch {epoch + 1:2d} last loss {losses[-1]:.4f}")

curve = torch.tensor([float(value) for value in losses]).reshape(12, 14).mean(dim=1)
print("loss by epoch:", " ".join(f"{value:.3f}" for value in curve.tolist()))
with torch.no_grad():
    print("test accuracy:", round(((model(x[test]) > 0).float() == y[test]).float().mean().item(), 4))
