"""Digits, each image brought to mean 0 and deviation 1 by itself."""
import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, Dataset, random_split

torch.manual_seed(31)


class ScaledDigits(Dataset):
    def __init__(self):
        self.data, self.target = load_digits(return_X_y=True)

    def __len__(self):
        return len(self.target)

    def __getitem__(self, index):
        row = self.data[index].reshape(1, -1)
        row = (row - row.mean(axis=0)) / (row.std(axis=0) + 1e-6)
        return torch.from_numpy(row.astype(np.float32)).squeeze(0), self.target[index]


train_set, val_set = random_split(ScaledDigits(), [1397, 400])
train_loader = DataLoader(train_set, batch_size=50, shuffle=True)
val_loader = DataLoader(val_set, batch_size=200)

model = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.8)
criterion = nn.CrossEntropyLoss()

for epoch in range(5):
    model.train()
    running = 0.0
    for x, y in train_loader:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        running += loss.item()
    model.eval()
    right = 0
    with torch.no_grad():
        for x, y in val_loader:
            right += (model(x).argmax(1) == y).sum().item()
    print(f"epoch {epoch + 1}: loss {running / len(train_loader):.4f}, val accuracy {right / 400:.3f}")
