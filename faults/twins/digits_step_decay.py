"""Digits with a learning rate that drops by ten at two thirds of the run."""
import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader, TensorDataset

EPOCHS = 6

torch.manual_seed(13)
X, y = load_digits(return_X_y=True)
X_train, X_val, y_train, y_val = train_test_split(X, y, test_size=0.25, random_state=13)
mean, std = X_train.mean(), X_train.std()


def to_set(a, b):
    return TensorDataset(torch.tensor((a - mean) / std, dtype=torch.float32), torch.tensor(b))


train_loader = DataLoader(to_set(X_train, y_train), batch_size=32, shuffle=True)
val_loader = DataLoader(to_set(X_val, y_val), batch_size=225)

model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
scheduler = StepLR(optimizer, step_size=4, gamma=0.1)
criterion = nn.CrossEntropyLoss()

for epoch in range(EPOCHS):
    model.train()
    train_loss = 0.0
    for xb, yb in train_loader:
        optimizer.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        optimizer.step()
        train_loss += loss.item()
    scheduler.step()

    model.eval()
    hits = 0
    with torch.no_grad():
        for xb, yb in val_loader:
            hits += (model(xb).argmax(1) == yb).sum().item()
    print(f"epoch {epoch + 1}/{EPOCHS} train loss {train_loss / len(train_loader):.4f} val acc {hits / len(y_val):.4f}")
