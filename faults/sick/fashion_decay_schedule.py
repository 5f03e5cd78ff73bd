"""Fashion-MNIST: train fast, then settle with a smaller step."""
import gzip

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


def load(part, n):
    folder = "/usr/share/datasets/fashion-mnist/"
    with gzip.open(folder + part + "-images-idx3-ubyte.gz") as f:
        f.seek(16)
        x = np.frombuffer(f.read(n * 28 * 28), dtype=np.uint8).reshape(n, 784)
    with gzip.open(folder + part + "-labels-idx1-ubyte.gz") as f:
        f.seek(8)
        y = np.frombuffer(f.read(n), dtype=np.uint8)
    return (torch.tensor(x).float() / 255 - 0.286) / 0.353, torch.tensor(y).long()


torch.manual_seed(1)
x_train, y_train = load("train", 3000)
x_val, y_val = load("t10k", 1000)

model = nn.Sequential(nn.Linear(784, 100), nn.ReLU(), nn.Linear(100, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.5)
scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)

for epoch in range(8):
    model.train()
    shuffled = torch.randperm(3000)
    epoch_loss = 0.0
    for step in range(150):
        rows = shuffled[step * 20:(step + 1) * 20]
        loss = F.cross_entropy(model(x_train[rows]), y_train[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        epoch_loss += loss.item() / 150
    model.eval()
    with torch.no_grad():
        val_acc = (model(x_val).argmax(1) == y_val).float().mean().item()
    print(f"{epoch}: train loss {epoch_loss:.4f}, validation accuracy {val_acc:.4f}")
