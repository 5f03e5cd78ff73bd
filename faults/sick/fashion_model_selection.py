"""Pick the epoch by validation accuracy, test once."""
import copy
import gzip

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

torch.manual_seed(34)


def load(part, n, folder="/usr/share/datasets/fashion-mnist"):
    with gzip.open(f"{folder}/{part}-images-idx3-ubyte.gz") as f:
        pixels = np.frombuffer(f.read(16 + n * 784), np.uint8, offset=16).reshape(n, 784)
    with gzip.open(f"{folder}/{part}-labels-idx1-ubyte.gz") as f:
        labels = np.frombuffer(f.read(8 + n), np.uint8, offset=8)
    images = (torch.tensor(pixels, dtype=torch.float32) / 255 - 0.286) / 0.353
    return TensorDataset(images, torch.tensor(labels, dtype=torch.long))


train_set, val_set = random_split(load("train", 2500), [2000, 500])
train_loader = DataLoader(train_set, batch_size=50, shuffle=True)
val_loader = DataLoader(val_set, batch_size=250)
test_loader = DataLoader(load("t10k", 2000), batch_size=500)

model = nn.Sequential(nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10))
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.02)


def accuracy(loader):
    model.eval()
    hits, count = 0, 0
    with torch.no_grad():
        for x, y in loader:
            hits += (model(x).argmax(1) == y).sum().item()
            count += len(y)
    return hits / count


best_val_acc = float("inf")
best_weights = None
for epoch in range(6):
    model.train()
    total = 0.0
    for x, y in train_loader:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        total += loss.item()
    val_acc = accuracy(val_loader)
    if val_acc < best_val_acc:
        best_val_acc = val_acc
        best_weights = copy.deepcopy(model.state_dict())
    print(f"epoch {epoch + 1}: loss {total / len(train_loader):.4f} validation accuracy {val_acc:.4f}")

model.load_state_dict(best_weights)
print(f"test accuracy {accuracy(test_loader):.4f}")
