"""Pre-train on five kinds of clothes, then learn the other five from a few examples."""
import gzip

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset


def fashion(part, rows):
    base = f"/usr/share/datasets/fashion-mnist/{part}"
    with gzip.open(base + "-images-idx3-ubyte.gz", "rb") as f:
        f.read(16)
        images = np.frombuffer(f.read(rows * 784), np.uint8).reshape(rows, 784) / 255.0
    with gzip.open(base + "-labels-idx1-ubyte.gz", "rb") as f:
        f.read(8)
        labels = np.frombuffer(f.read(rows), np.uint8)
    return torch.tensor((images - 0.286) / 0.353, dtype=torch.float32), torch.tensor(labels, dtype=torch.long)


def fit(model, optimizer, loader, x_test, y_test, epochs, title):
    criterion = nn.CrossEntropyLoss()
    for epoch in range(epochs):
        model.train()
        total, seen = 0.0, 0
        for x, y in loader:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(y)
            seen += len(y)
        model.eval()
        with torch.no_grad():
            accuracy = (model(x_test).argmax(1) == y_test).float().mean().item()
        print(f"{title} epoch {epoch + 1}: loss {total / seen:.4f} held-out accuracy {accuracy:.3f}")


torch.manual_seed(2)
x, y = fashion("train", 4000)
x_test, y_test = fashion("t10k", 2000)

source, target = y < 5, y >= 5
source_test, target_test = y_test < 5, y_test >= 5

backbone = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU())
model = nn.Sequential(backbone, nn.Linear(128, 5))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
loader = DataLoader(TensorDataset(x[source], y[source]), batch_size=50, shuffle=True)
fit(model, optimizer, loader, x_test[source_test], y_test[source_test], 4, "source")

# fine-tune: new head, the backbone stays as it is
for layer in backbone:
    layer.requires_grad_(False)
model = nn.Sequential(backbone, nn.Linear(128, 5))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
few = torch.nonzero(target).flatten()[:600]
loader = DataLoader(TensorDataset(x[few], y[few] - 5), batch_size=20, shuffle=True)
fit(model, optimizer, loader, x_test[target_test], y_test[target_test] - 5, 5, "target")
