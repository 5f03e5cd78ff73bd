import numpy as np
import torch
import torch.nn as nn
from sklearn.datasets import load_breast_cancer

torch.manual_seed(1)

X, y = load_breast_cancer(return_X_y=True)
X = torch.FloatTensor(X)
y = torch.FloatTensor(y).reshape(-1, 1)
order = torch.randperm(len(X))
train, test = order[:400], order[400:]
X = (X - X[train].mean(dim=0)) / X[train].std(dim=0)

model = nn.Sequential(
    nn.Linear(30, 16),
    nn.ReLU(),
    nn.Linear(16, 8),
    nn.ReLU(),
    nn.Linear(8, 1),
    nn.Sigmoid(),
)
loss_function = nn.BCELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.005)

batch_size = 40
for epoch in range(10):
    model.train()
    train = train[torch.randperm(len(train))]
    epoch_losses = []
    for b in range(0, len(train), batch_size):
        rows = train[b:b + batch_size]
        prob = model(X[rows])
        loss = loss_function(prob, y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        epoch_losses.append(loss.item())

    model.eval()
    with torch.no_grad():
        prob = model(X[test])
        acc = ((prob >= 0.5).float() == y[test]).float().mean().item()
    print("epoch %d loss %.4f held-out accuracy %.4f" % (epoch + 1, np.mean(epoch_losses), acc))
