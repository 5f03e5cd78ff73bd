"""Digits with cross-entropy plus an L1 penalty on the first layer."""
import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

L1 = 1e-4
torch.manual_seed(31)

digits = load_digits()
images = torch.tensor(digits.data / 16.0, dtype=torch.float32)
targets = torch.tensor(digits.target)
perm = torch.randperm(len(images))
train_idx, val_idx = perm[:1300], perm[1300:]
loader = DataLoader(TensorDataset(images[train_idx], targets[train_idx]), batch_size=32, shuffle=True)


class SparseNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(64, 80)
        self.second = nn.Linear(80, 10)

    def forward(self, x):
        return self.second(torch.relu(self.first(x)))


model = SparseNet()
cross_entropy = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

for epoch in range(8):
    model.train()
    total_loss = 0.0
    for x, t in loader:
        optimizer.zero_grad()
        ce = cross_entropy(model(x), t)
        penalty = model.first.weight.abs().sum()
        loss = ce + L1 * penalty
        loss.backward()
        optimizer.step()
        total_loss += loss.item()
    model.eval()
    with torch.no_grad():
        val_acc = (model(images[val_idx]).argmax(1) == targets[val_idx]).float().mean()
    print(f"epoch {epoch}: loss {total_loss / len(loader):.4f}, val acc {val_acc:.4f}")
