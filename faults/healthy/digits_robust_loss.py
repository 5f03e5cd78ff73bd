"""Learning from unreliable labels with the generalised cross-entropy (Zhang and Sabuncu 2018).

A quarter of the training labels are replaced by random ones on purpose, as a stand-in for careless annotators;
validation labels are clean. The loss (1 - p^q) / q gives little weight to rows that the net finds very unlikely.
"""
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

NOISE, Q = 0.25, 0.7


class GeneralisedCrossEntropy(nn.Module):
    def __init__(self, q):
        super().__init__()
        self.q = q

    def forward(self, logits, target):
        p = logits.softmax(dim=1).gather(1, target[:, None]).squeeze(1)
        return ((1 - p.clamp_min(1e-6) ** self.q) / self.q).mean()


torch.manual_seed(14)
digits = load_digits()
x = torch.tensor(digits.data, dtype=torch.float32)
y = torch.tensor(digits.target)
order = torch.randperm(len(x))
train, val = order[:1300], order[1300:]
x = (x - x[train].mean()) / x[train].std()
unreliable = y.clone()
hit = train[torch.rand(len(train)) < NOISE]
unreliable[hit] = torch.randint(0, 10, (len(hit),))

loader = DataLoader(TensorDataset(x[train], unreliable[train]), batch_size=50, shuffle=True)
model = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 10))
criterion = GeneralisedCrossEntropy(Q)
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, weight_decay=1e-3)

for epoch in range(8):
    model.train()
    total = 0.0
    for xb, yb in loader:
        optimizer.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(xb)
    model.eval()
    with torch.no_grad():
        acc = (model(x[val]).argmax(1) == y[val]).float().mean().item()
    print(f"epoch {epoch + 1}  loss {total / len(train):.4f}  accuracy on clean labels {acc:.4f}")
