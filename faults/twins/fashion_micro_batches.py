"""Large effective batches on a small machine: gradients of eight micro-batches per step."""
import gzip

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

MICRO_BATCH = 16
ACCUMULATE = 8
LEARNING_RATE = 0.15


def load(part, n):
    path = f"/usr/share/datasets/fashion-mnist/{part}"
    with gzip.open(f"{path}-images-idx3-ubyte.gz") as f:
        x = np.frombuffer(f.read(16 + n * 784), dtype=np.uint8, offset=16).reshape(n, 784)
    with gzip.open(f"{path}-labels-idx1-ubyte.gz") as f:
        y = np.frombuffer(f.read(8 + n), dtype=np.uint8, offset=8)
    x = torch.from_numpy(x.astype("float32") / 255.0)
    return (x - 0.286) / 0.353, torch.from_numpy(y.astype("int64"))


torch.manual_seed(9)
train_set = TensorDataset(*load("train", 3072))
x_test, y_test = load("t10k", 1000)
loader = DataLoader(train_set, batch_size=MICRO_BATCH, shuffle=True)

model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE)

for epoch in range(6):
    model.train()
    epoch_loss = 0.0
    optimizer.zero_grad()
    for i, (x, y) in enumerate(loader):
        loss = criterion(model(x), y)
        (loss / ACCUMULATE).backward()
        if (i + 1) % ACCUMULATE == 0:
            optimizer.step()
            optimizer.zero_grad()
        epoch_loss += loss.item()
    model.eval()
    with torch.no_grad():
        accuracy = (model(x_test).argmax(dim=1) == y_test).float().mean().item()
    print(f"epoch {epoch + 1} loss {epoch_loss / len(loader):.4f} test accuracy {accuracy:.3f}")
