import gzip

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class FashionNet(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(784, hidden), nn.ReLU(), nn.Linear(hidden, 10)
        )

    def forward(self, images):
        return self.layers(images)


def load(part, n):
    with gzip.open(f"/usr/share/datasets/fashion-mnist/{part}-images-idx3-ubyte.gz") as f:
        images = np.frombuffer(f.read(16 + n * 784), np.uint8, offset=16).reshape(n, 1, 28, 28)
    with gzip.open(f"/usr/share/datasets/fashion-mnist/{part}-labels-idx1-ubyte.gz") as f:
        labels = np.frombuffer(f.read(8 + n), np.uint8, offset=8)
    return TensorDataset((torch.tensor(images).float() / 255 - 0.286) / 0.353, torch.tensor(labels).long())


torch.manual_seed(30)
train_loader = DataLoader(load("train", 3000), batch_size=25, shuffle=True)
val_loader = DataLoader(load("t10k", 1000), batch_size=500)

model = FashionNet(hidden=100)
loss_fn = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.5)

for epoch in range(8):
    # smaller steps for the last three epochs
    if epoch == 5:
        optimizer.lr = 0.01
    model.train()
    epoch_loss = 0.0
    for images, labels in train_loader:
        optimizer.zero_grad()
        loss = loss_fn(model(images), labels)
        loss.backward()
        optimizer.step()
        epoch_loss += loss.item()
    model.eval()
    val_loss, hits = 0.0, 0
    with torch.no_grad():
        for images, labels in val_loader:
            logits = model(images)
            val_loss += loss_fn(logits, labels).item()
            hits += (logits.argmax(1) == labels).sum().item()
    print(f"epoch {epoch + 1}: train loss {epoch_loss / len(train_loader):.4f} "
          f"val loss {val_loss / len(val_loader):.4f} val accuracy {hits / 1000:.3f}")
