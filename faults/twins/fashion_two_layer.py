"""A two-layer network on Fashion-MNIST."""
import gzip

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

DATA = "/usr/share/datasets/fashion-mnist"


def load(part, rows):
    with gzip.open(f"{DATA}/{part}-images-idx3-ubyte.gz") as f:
        images = np.frombuffer(f.read(16 + rows * 784), np.uint8, offset=16)
    with gzip.open(f"{DATA}/{part}-labels-idx1-ubyte.gz") as f:
        labels = np.frombuffer(f.read(8 + rows), np.uint8, offset=8)
    x = torch.tensor(images.reshape(rows, 784), dtype=torch.float32) / 255.0
    return TensorDataset((x - 0.286) / 0.353, torch.tensor(labels, dtype=torch.long))


torch.manual_seed(7)
train_loader = DataLoader(load("train", 3000), batch_size=64, shuffle=True)
test_loader = DataLoader(load("t10k", 1000), batch_size=250)

model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(5):
    model.train()
    running = 0.0
    for images, labels in train_loader:
        optimizer.zero_grad()
        outputs = model(images)
        loss = criterion(outputs, labels)
        loss.backward()
        optimizer.step()
        running += loss.item() * len(labels)

    model.eval()
    correct = 0
    with torch.no_grad():
        for images, labels in test_loader:
            correct += (model(images).argmax(dim=1) == labels).sum().item()
    print(f"epoch {epoch + 1}: loss {running / 3000:.4f}  test accuracy {correct / 1000:.3f}")
