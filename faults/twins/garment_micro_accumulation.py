"""Fashion images, convolutional net; gradients gathered over several small batches to save memory."""
import gzip

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset


def fashion(part, n, folder="/usr/share/datasets/fashion-mnist"):
    with gzip.open(f"{folder}/{part}-images-idx3-ubyte.gz") as f:
        pixels = np.frombuffer(f.read(16 + n * 784), np.uint8, offset=16).reshape(n, 1, 28, 28)
    with gzip.open(f"{folder}/{part}-labels-idx1-ubyte.gz") as f:
        labels = np.frombuffer(f.read(8 + n), np.uint8, offset=8)
    images = F.avg_pool2d(torch.tensor(pixels, dtype=torch.float32) / 255, 2)
    return TensorDataset((images - 0.286) / 0.32, torch.tensor(labels).long())


def block(inputs, outputs):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=2, padding=1),
        nn.ReLU(),
    )


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stages = nn.Sequential(block(1, 12), block(12, 24))
        self.fc = nn.Linear(24 * 16, 64)
        self.norm = nn.LayerNorm(64)
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        x = self.fc(self.stages(x).flatten(1))
        return self.head(torch.relu(self.norm(x)))


def evaluate(model, loader):
    model.eval()
    loss, hits = 0.0, 0
    with torch.no_grad():
        for x, y in loader:
            out = model(x)
            loss += F.cross_entropy(out, y, reduction="sum").item()
            hits += (out.argmax(1) == y).sum().item()
    return loss / len(loader.dataset), hits / len(loader.dataset)


if __name__ == "__main__":
    torch.manual_seed(56)
    micro_batch, gather = 4, 8
    train_loader = DataLoader(fashion("train", 1200), batch_size=micro_batch, shuffle=True)
    val_loader = DataLoader(fashion("t10k", 1000), batch_size=250)
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for epoch in range(4):
        model.train()
        total = 0.0
        for i, (x, y) in enumerate(train_loader):
            loss = F.cross_entropy(model(x), y)
            (loss / gather).backward()
            total += loss.item()
            if (i + 1) % gather == 0:
                optimizer.step()
                optimizer.zero_grad()
        val_loss, val_acc = evaluate(model, val_loader)
        print(f"epoch {epoch}: train loss {total / len(train_loader):.4f}, val loss {val_loss:.4f}, val accuracy {val_acc:.4f}")
