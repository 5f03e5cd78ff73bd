"""Fashion-MNIST with a tower of batch-normalised layers."""
import gzip

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(57)


def load(part, n):
    base = "/usr/share/datasets/fashion-mnist/" + part
    with gzip.open(base + "-images-idx3-ubyte.gz") as f:
        x = np.frombuffer(f.read(16 + n * 784), np.uint8, offset=16).reshape(n, 784) / 255.0
    with gzip.open(base + "-labels-idx1-ubyte.gz") as f:
        y = np.frombuffer(f.read(8 + n), np.uint8, offset=8)
    return TensorDataset(torch.tensor((x - 0.286) / 0.353, dtype=torch.float32), torch.tensor(y).long())


def layer(n_in, n_out):
    return nn.Sequential(nn.Linear(n_in, n_out), nn.ReLU(), nn.BatchNorm1d(n_out, momentum=0.1))


train_loader = DataLoader(load("train", 3000), batch_size=60, shuffle=True)
val_loader = DataLoader(load("t10k", 1000), batch_size=250)

model = nn.Sequential(layer(784, 96), layer(96, 64), layer(64, 48), nn.Linear(48, 10))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)

for epoch in range(4):
    model.train()
    train_loss = 0.0
    for x, y in train_loader:
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        train_loss += loss.item() / len(train_loader)

    model.eval()
    val_loss, hits = 0.0, 0
    with torch.no_grad():
        for x, y in val_loader:
            logits = model(x)
            val_loss += F.cross_entropy(logits, y).item() / len(val_loader)
            hits += (logits.argmax(1) == y).sum().item()
    print(f"epoch {epoch + 1}: train loss {train_loss:.4f} | val loss {val_loss:.4f} | val accuracy {hits / 1000:.4f}")
