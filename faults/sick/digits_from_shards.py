"""Train on digits that lie on disk as shards of images beside one list of labels."""
import tempfile
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

SHARDS = 12


def export(folder):
    """Write the images in twelve files and the labels in one, in the order of the files' numbers."""
    data, target = load_digits(return_X_y=True)
    order = np.random.default_rng(6).permutation(len(target))[:1788]
    for number, part in enumerate(np.split(order, SHARDS)):
        np.save(folder / f"images_{number}.npy", data[part])
    np.save(folder / "labels.npy", target[order])


def gather(folder):
    files = sorted(folder.glob("images_*.npy"))
    images = np.concatenate([np.load(f) for f in files])
    images = (images - images.mean()) / images.std()
    return torch.tensor(images, dtype=torch.float32), torch.tensor(np.load(folder / "labels.npy"))


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(64, 32)
        self.drop = nn.Dropout(0.1)
        self.fc2 = nn.Linear(32, 10)

    def forward(self, x):
        return self.fc2(self.drop(torch.relu(self.fc1(x))))


def run_epoch(model, loader, criterion, optimizer=None):
    model.train(optimizer is not None)
    total, hits = 0.0, 0
    with torch.set_grad_enabled(optimizer is not None):
        for x, y in loader:
            logits = model(x)
            loss = criterion(logits, y)
            if optimizer is not None:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            total += loss.item() * len(y)
            hits += (logits.argmax(1) == y).sum().item()
    return total / len(loader.dataset), hits / len(loader.dataset)


def main():
    torch.manual_seed(6)
    with tempfile.TemporaryDirectory() as name:
        export(Path(name))
        x, y = gather(Path(name))
    train_loader = DataLoader(TensorDataset(x[:1400], y[:1400]), batch_size=28, shuffle=True)
    val_loader = DataLoader(TensorDataset(x[1400:], y[1400:]), batch_size=97)
    model, criterion = Classifier(), nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    for epoch in range(1, 6):
        train_loss, train_acc = run_epoch(model, train_loader, criterion, optimizer)
        val_loss, val_acc = run_epoch(model, val_loader, criterion)
        print(f"{epoch}: train {train_loss:.3f} / {train_acc:.3f}, validation {val_loss:.3f} / {val_acc:.3f}")


if __name__ == "__main__":
    main()
