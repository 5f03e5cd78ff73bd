"""CosineAnnealingWarmRestarts stepped after every batch: the learning rate jumps back up on purpose."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from _digest import print_digest, seed_everything

seed_everything(0)
images, labels = load_digits(return_X_y=True)
x = torch.tensor(images / 8 - 1, dtype=torch.float32)
loader = DataLoader(TensorDataset(x, torch.tensor(labels)), batch_size=64, shuffle=True, drop_last=True)

model = nn.Sequential(nn.Linear(64, 96), nn.Tanh(), nn.Linear(96, 48), nn.Tanh(), nn.Linear(48, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
scheduler = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=28, T_mult=2, eta_min=1e-3)
for epoch in range(6):
    for x, y in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        scheduler.step()
        print("loss", repr(loss.item()))

print("lr", repr(scheduler.get_last_lr()[0]))
print_digest(model)
