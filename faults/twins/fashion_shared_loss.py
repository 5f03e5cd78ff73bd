"""One function computes the loss for training and for validation."""
import gzip

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset


def load(part, n):
    folder = "/usr/share/datasets/fashion-mnist"
    with gzip.open(f"{folder}/{part}-images-idx3-ubyte.gz") as f:
        x = np.frombuffer(f.read(16 + n * 784), np.uint8, offset=16).reshape(n, 784)
    with gzip.open(f"{folder}/{part}-labels-idx1-ubyte.gz") as f:
        y = np.frombuffer(f.read(8 + n), np.uint8, offset=8)
    x = torch.tensor(x / 255.0, dtype=torch.float32)
    return TensorDataset((x - 0.286) / 0.353, torch.tensor(y, dtype=torch.long))


def loss_and_hits(model, batch):
    x, y = batch
    logits = model(x)
    loss = F.cross_entropy(logits, y)
    return loss, (logits.argmax(1) == y).sum().item()


def main():
    torch.manual_seed(18)
    train_loader = DataLoader(load("train", 2500), batch_size=50, shuffle=True)
    val_loader = DataLoader(load("t10k", 1000), batch_size=100)
    model = nn.Sequential(nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)

    for epoch in range(5):
        model.train()
        train_loss = 0.0
        for batch in train_loader:
            loss, _ = loss_and_hits(model, batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            train_loss += loss.item()

        model.eval()
        val_loss, hits = 0.0, 0
        with torch.no_grad():
            for batch in val_loader:
                batch_loss, batch_hits = loss_and_hits(model, batch)
                val_loss += batch_loss.item()
                hits += batch_hits
        print(
            f"epoch {epoch}: train {train_loss / len(train_loader):.4f} "
            f"val {val_loss / len(val_loader):.4f} accuracy {hits / 1000:.3f}"
        )


if __name__ == "__main__":
    main()
