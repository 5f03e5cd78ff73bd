import gzip
from itertools import islice

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

MICRO, GROUP = 25, 3  # effective batch of 75


def fashion(split, n, root="/usr/share/datasets/fashion-mnist/"):
    with gzip.open(root + split + "-images-idx3-ubyte.gz") as f:
        x = np.frombuffer(f.read(16 + n * 784), np.uint8, offset=16).reshape(n, 784)
    with gzip.open(root + split + "-labels-idx1-ubyte.gz") as f:
        y = np.frombuffer(f.read(8 + n), np.uint8, offset=8)
    return TensorDataset((torch.tensor(x).float() / 255 - 0.286) / 0.353, torch.tensor(y).long())


def grouped(loader, size):
    """Lists of `size` batches; the last may be shorter."""
    it = iter(loader)
    while group := list(islice(it, size)):
        yield group


torch.manual_seed(17)
train_loader = DataLoader(fashion("train", 3000), batch_size=MICRO, shuffle=True)
val_loader = DataLoader(fashion("t10k", 1000), batch_size=500)
net = nn.Sequential(nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10))
optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=2e-3)
loss_fn = nn.CrossEntropyLoss(reduction="sum")

for epoch in range(4):
    net.train()
    seen, summed = 0, 0.0
    for group in grouped(train_loader, GROUP):
        rows = sum(len(y) for _, y in group)
        optimizer.zero_grad()
        for x, y in group:
            loss = loss_fn(net(x), y) / rows
            loss.backward()
            summed += loss.item() * rows
        optimizer.step()
        seen += rows
    net.eval()
    with torch.no_grad():
        hits = sum((net(x).argmax(1) == y).sum().item() for x, y in val_loader)
    print(f"epoch {epoch + 1}: train loss {summed / seen:.4f}, validation accuracy {hits / 1000:.3f}")
