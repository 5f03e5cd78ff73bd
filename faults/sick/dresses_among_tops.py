"""Pick dresses out of tops and coats; about one garment in thirty is a dress."""
import gzip

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

DRESS, TOPS = 3, (0, 2, 4, 6)


def garments(part, read, n_dresses, n_tops):
    base = f"/usr/share/datasets/fashion-mnist/{part}"
    with gzip.open(base + "-images-idx3-ubyte.gz") as f:
        x = np.frombuffer(f.read(16 + read * 784), np.uint8, offset=16).reshape(read, 784)
    with gzip.open(base + "-labels-idx1-ubyte.gz") as f:
        y = np.frombuffer(f.read(8 + read), np.uint8, offset=8)
    rows = np.concatenate([np.flatnonzero(y == DRESS)[:n_dresses], np.flatnonzero(np.isin(y, TOPS))[:n_tops]])
    images = (torch.tensor(x[rows]).float() / 255 - 0.286) / 0.353
    return TensorDataset(images, torch.tensor(y[rows] == DRESS).float())


class DressNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(784, 32)
        self.out = nn.Linear(32, 1)

    def forward(self, x):
        return self.out(torch.relu(self.hidden(x))).squeeze(1)


def validate(model, loader):
    model.eval()
    truth, said = [], []
    with torch.no_grad():
        for x, y in loader:
            said.append(model(x) > 0)
            truth.append(y > 0.5)
    said, truth = torch.cat(said), torch.cat(truth)
    return (said == truth).float().mean().item(), said[truth].float().mean().item()


def main():
    torch.manual_seed(9)
    train_set = garments("train", 6000, 60, 1940)
    val_set = garments("t10k", 3000, 40, 760)
    target = train_set.tensors[1]
    weights = torch.where(target > 0.5, len(target) / target.sum(), len(target) / (1 - target).sum())
    sampler = WeightedRandomSampler(weights, len(target))
    train_loader = DataLoader(train_set, batch_size=50, shuffle=True)
    val_loader = DataLoader(val_set, batch_size=200)
    model = DressNet()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9)
    criterion = nn.BCEWithLogitsLoss()
    for epoch in range(5):
        model.train()
        total = 0.0
        for x, y in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            total += loss.item()
        accuracy, recall = validate(model, val_loader)
        print(f"epoch {epoch + 1}: loss {total / len(train_loader):.4f} accuracy {accuracy:.3f} recall {recall:.3f}")


if __name__ == "__main__":
    main()
