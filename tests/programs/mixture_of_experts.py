"""Top-1 mixture of experts on small batches: in many steps some experts get no row, hence no gradient."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from _digest import print_digest, seed_everything


class MoE(nn.Module):
    def __init__(self, width, experts=8):
        super().__init__()
        self.router = nn.Linear(width, experts, bias=False)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width)) for _ in range(experts)
        )

    def forward(self, x):
        share = self.router(x).softmax(dim=-1)
        weight, choice = share.max(dim=-1)
        out = torch.zeros_like(x)
        for i, expert in enumerate(self.experts):
            rows = (choice == i).nonzero().squeeze(1)
            if len(rows):
                out = out.index_add(0, rows, weight[rows, None] * expert(x[rows]))
        load = F.one_hot(choice, len(self.experts)).float().mean(0)
        balance = len(self.experts) * (load * share.mean(0)).sum()
        return out, balance


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(64, 48)
        self.norm = nn.LayerNorm(48)
        self.moe = MoE(48)
        self.head = nn.Linear(48, 10)

    def forward(self, x):
        x = self.stem(x)
        mixed, balance = self.moe(self.norm(x))
        return self.head(x + mixed), balance


seed_everything(0)
images, labels = load_digits(return_X_y=True)
x = torch.tensor((images - images.mean()) / images.std(), dtype=torch.float32)
loader = DataLoader(TensorDataset(x, torch.tensor(labels)), batch_size=16, shuffle=True)
model = Net()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
idle = 0
for epoch in range(2):
    for x, y in loader:
        optimizer.zero_grad()
        logits, balance = model(x)
        loss = F.cross_entropy(logits, y) + 0.1 * balance
        loss.backward()
        idle += sum(expert[0].weight.grad is None for expert in model.moe.experts)
        optimizer.step()
        print("loss", repr(loss.item()))

print("experts without a gradient, mean per step", repr(idle / (2 * len(loader))))
print_digest(model)
