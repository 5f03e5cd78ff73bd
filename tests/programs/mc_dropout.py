"""Monte Carlo dropout: after training, dropout stays on at inference on purpose, to measure uncertainty."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from _digest import print_digest, seed_everything

seed_everything(0)
images, labels = load_digits(return_X_y=True)
x_train, x_test, y_train, y_test = train_test_split(images / 8 - 1, labels, test_size=0.2, random_state=0)
x_test, y_test = torch.tensor(x_test, dtype=torch.float32), torch.tensor(y_test)
train = TensorDataset(torch.tensor(x_train, dtype=torch.float32), torch.tensor(y_train))

model = nn.Sequential(
    nn.Linear(64, 128), nn.BatchNorm1d(128), nn.ReLU(), nn.Dropout(0.3), nn.Linear(128, 64), nn.ReLU(),
    nn.Dropout(0.3), nn.Linear(64, 10),
)  # fmt: skip
optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
for epoch in range(5):
    for x, y in DataLoader(train, batch_size=64, shuffle=True, drop_last=True):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        print("loss", repr(loss.item()))

model.eval()
for module in model.modules():
    if isinstance(module, nn.Dropout):
        module.train()
with torch.no_grad():
    votes = torch.stack([model(x_test).softmax(1) for _ in range(20)])
mean = votes.mean(0)
entropy = -(mean * mean.clamp_min(1e-12).log()).sum(1)
right = mean.argmax(1) == y_test
print("accuracy", repr(right.float().mean().item()))
print("entropy right, wrong", repr(entropy[right].mean().item()), repr(entropy[~right].mean().item()))
print_digest(model)
