"""Fashion-MNIST with batch normalisation and dropout."""
import gzip

import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim
from torch.utils.data import DataLoader, TensorDataset


def load_split(part, n):
    root = "/usr/share/datasets/fashion-mnist"
    with gzip.open(f"{root}/{part}-images-idx3-ubyte.gz") as f:
        images = np.frombuffer(f.read(16 + n * 784), np.uint8, offset=16).reshape(n, 784)
    with gzip.open(f"{root}/{part}-labels-idx1-ubyte.gz") as f:
        labels = np.frombuffer(f.read(8 + n), np.uint8, offset=8)
    x = (torch.tensor(images, dtype=torch.float32) / 255 - 0.286) / 0.353
    return TensorDataset(x, torch.tensor(labels, dtype=torch.long))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(784, 200)
        self.bn1 = nn.BatchNorm1d(200)
        self.drop = nn.Dropout(0.5)
        self.fc2 = nn.Linear(200, 10)

    def forward(self, x):
        x = torch.relu(self.bn1(self.fc1(x)))
        return self.fc2(self.drop(x))


def validate(model, loader, criterion):
    model.eval()
    loss, correct, n = 0.0, 0, 0
    with torch.no_grad():
        for x, y in loader:
            out = model(x)
            loss += criterion(out, y).item() * len(y)
            correct += (out.argmax(1) == y).sum().item()
            n += len(y)
    return loss / n, correct / n


torch.manual_seed(10)
train_loader = DataLoader(load_split("train", 2000), batch_size=50, shuffle=True)
val_loader = DataLoader(load_split("t10k", 1000), batch_size=250)
model = Net()
criterion = nn.CrossEntropyLoss()
optimizer = optim.Adam(model.parameters(), lr=2e-3)

model.train()
for epoch in range(8):
    running = 0.0
    for x, y in train_loader:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        running += loss.item()
    val_loss, val_acc = validate(model, val_loader, criterion)
    print(f"epoch {epoch + 1} train {running / len(train_loader):.4f} val {val_loss:.4f} accuracy {val_acc:.4f}")
