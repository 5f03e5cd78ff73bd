"""Is the garment a T-shirt or a shirt? One logit per image."""
import gzip

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

TOPS = (0, 6)


def tops(part, n, folder="/usr/share/datasets/fashion-mnist"):
    with gzip.open(f"{folder}/{part}-images-idx3-ubyte.gz") as f:
        pixels = np.frombuffer(f.read(16 + n * 784), np.uint8, offset=16).reshape(n, 784)
    with gzip.open(f"{folder}/{part}-labels-idx1-ubyte.gz") as f:
        labels = np.frombuffer(f.read(8 + n), np.uint8, offset=8)
    x = torch.tensor((pixels / 255 - 0.286) / 0.353, dtype=torch.float32)
    return TensorDataset(x, torch.tensor(np.isin(labels, TOPS), dtype=torch.float32))


class TopNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(784, 32)
        self.answer = nn.Linear(32, 1)

    def forward(self, x):
        return self.answer(F.relu(self.hidden(x))).squeeze(-1)


def evaluate(model, loader):
    model.eval()
    hits, found, there, loss = 0, 0, 0, 0.0
    with torch.no_grad():
        for x, y in loader:
            logits = model(x)
            loss += F.binary_cross_entropy_with_logits(logits, y, reduction="sum").item()
            answers = (logits > 0).float()
            hits += (answers == y).sum().item()
            found += (answers * y).sum().item()
            there += y.sum().item()
    n = len(loader.dataset)
    return loss / n, hits / n, found / there


def main():
    torch.manual_seed(74)
    train_loader = DataLoader(tops("train", 3000), batch_size=64, shuffle=True)
    val_loader = DataLoader(tops("t10k", 1500), batch_size=500)
    model = TopNet()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-4, weight_decay=0.1)
    for epoch in range(6):
        model.train()
        total = 0.0
        for x, y in train_loader:
            loss = F.binary_cross_entropy_with_logits(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        val_loss, accuracy, recall = evaluate(model, val_loader)
        print(
            f"epoch {epoch}: loss {total / len(train_loader):.4f}, val loss {val_loss:.4f}, "
            f"accuracy {accuracy:.4f}, recall {recall:.4f}"
        )


if __name__ == "__main__":
    main()
