"""Two heads on one trunk (which digit, how much ink): a backward for each loss, one step for both."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from _digest import print_digest, seed_everything


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 48), nn.ReLU())
        self.digit = nn.Linear(48, 10)
        self.ink = nn.Linear(48, 1)

    def forward(self, x):
        shared = self.trunk(x)
        return self.digit(shared), self.ink(shared).squeeze(1)


seed_everything(0)
images, labels = load_digits(return_X_y=True)
ink = images.mean(1)
ink = (ink - ink.mean()) / ink.std()
x = torch.tensor((images - images.mean()) / images.std(), dtype=torch.float32)
data = TensorDataset(x, torch.tensor(labels), torch.tensor(ink, dtype=torch.float32))
loader = DataLoader(data, batch_size=64, shuffle=True, drop_last=True)

model = TwoHeads()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(4):
    for x, y, amount in loader:
        optimizer.zero_grad()
        logits, guess = model(x)
        loss1 = F.cross_entropy(logits, y)
        loss2 = F.mse_loss(guess, amount)
        loss1.backward(retain_graph=True)
        loss2.backward()
        optimizer.step()
        print("loss", repr(loss1.item()), repr(loss2.item()))

print_digest(model)
