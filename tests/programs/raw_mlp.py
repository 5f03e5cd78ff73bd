"""A plain MLP on digits: shuffled DataLoader, dropout, validation in eval mode, back to train."""

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from _digest import print_digest, seed_everything

seed_everything(0)
images, labels = load_digits(return_X_y=True)
x_train, x_val, y_train, y_val = train_test_split(images, labels, test_size=0.2, random_state=0, stratify=labels)
mean, std = x_train.mean(), x_train.std()


def dataset(x, y):
    return TensorDataset(torch.tensor((x - mean) / std, dtype=torch.float32), torch.tensor(y))


train_loader = DataLoader(dataset(x_train, y_train), batch_size=64, shuffle=True)
val_loader = DataLoader(dataset(x_val, y_val), batch_size=256)

model = nn.Sequential(
    nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 10)
)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)

for epoch in range(5):
    model.train()
    for x, y in train_loader:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        print("loss", repr(loss.item()))

    model.eval()
    val_loss, correct = 0.0, 0
    with torch.no_grad():
        for x, y in val_loader:
            logits = model(x)
            val_loss += criterion(logits, y).item() * len(y)
            correct += (logits.argmax(1) == y).sum().item()
    print("val_loss", repr(val_loss / len(y_val)), "accuracy", repr(correct / len(y_val)))

print_digest(model)
