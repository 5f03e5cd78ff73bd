"""Digits kept as compressed arrays, as they would lie in an archive."""
import io
import zlib

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, Dataset


def pack(image):
    buffer = io.BytesIO()
    np.save(buffer, np.kron(image, np.ones((2, 2))))
    return zlib.compress(buffer.getvalue(), level=1)


def unpack(blob):
    image = np.load(io.BytesIO(zlib.decompress(blob)))
    return torch.tensor((image[None] - 4.884) / 6.017, dtype=torch.float32)


class Archive(Dataset):
    def __init__(self, blobs, labels, transform=None):
        self.items, self.labels, self.transform = [transform(blob) for blob in blobs], labels, None

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        item = self.items[index]
        return (self.transform(item) if self.transform else item), self.labels[index]


def epoch_of_training(model, loader, optimizer):
    model.train()
    total = 0.0
    for x, y in loader:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(y)
    return total / len(loader.dataset)


@torch.no_grad()
def accuracy(model, loader):
    model.eval()
    return sum((model(x).argmax(1) == y).sum().item() for x, y in loader) / len(loader.dataset)


def main():
    torch.manual_seed(84)
    digits = load_digits()
    order = torch.randperm(len(digits.images)).tolist()
    blobs, labels = [pack(digits.images[i]) for i in order], digits.target[order]
    train_set = Archive(blobs[:1200], labels[:1200], transform=unpack)
    val_set = Archive(blobs[1200:], labels[1200:], transform=unpack)
    train_loader = DataLoader(train_set, batch_size=32, shuffle=True)
    val_loader = DataLoader(val_set, batch_size=200)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(256, 10),
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9)
    for epoch in range(5):
        loss = epoch_of_training(model, train_loader, optimizer)
        print(f"epoch {epoch}: loss {loss:.4f}, validation accuracy {accuracy(model, val_loader):.4f}")


if __name__ == "__main__":
    main()
