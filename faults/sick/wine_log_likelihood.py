import numpy as np
import torch
from sklearn.datasets import load_wine
from torch import nn


def log_likelihood_loss(logits, target):
    log_p = logits - logits.logsumexp(dim=1, keepdim=True)
    picked = log_p.gather(1, target.unsqueeze(1))
    return picked.mean()


torch.manual_seed(13)
wine = load_wine()
order = np.random.default_rng(13).permutation(178)
x = torch.tensor(wine.data[order], dtype=torch.float32)
y = torch.tensor(wine.target[order])
x = (x - x[:120].mean(0)) / x[:120].std(0)

net = nn.Sequential(nn.Linear(13, 24), nn.ReLU(), nn.Dropout(0.2), nn.Linear(24, 3))
optimizer = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)

for epoch in range(10):
    net.train()
    rows = torch.randperm(120)
    total = 0.0
    for k in range(0, 120, 12):
        batch = rows[k:k + 12]
        loss = log_likelihood_loss(net(x[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() / 10
    net.eval()
    with torch.no_grad():
        acc = (net(x[120:]).argmax(1) == y[120:]).float().mean().item()
    print(f"epoch {epoch}  loss {total:.4f}  accuracy {acc:.4f}")
