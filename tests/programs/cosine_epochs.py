"""CosineAnnealingLR stepped once an epoch, over as many epochs as are trained."""

import torch
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from _digest import print_digest, seed_everything

EPOCHS = 12

seed_everything(0)
features, target = load_wine(return_X_y=True)
x = torch.tensor(StandardScaler().fit_transform(features), dtype=torch.float32)
loader = DataLoader(TensorDataset(x, torch.tensor(target)), batch_size=32, shuffle=True)

model = nn.Sequential(nn.Linear(13, 32), nn.GELU(), nn.Linear(32, 3))
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=EPOCHS)

for epoch in range(EPOCHS):
    for x, y in loader:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        print("loss", repr(loss.item()))
    scheduler.step()
    print("lr", repr(scheduler.get_last_lr()[0]))

print_digest(model)
