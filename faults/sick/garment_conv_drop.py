"""Convolutional net on Fashion-MNIST, half resolution."""
import gzip

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset


class Fashion(Dataset):
    def __init__(self, part, n, folder="/usr/share/datasets/fashion-mnist"):
        with gzip.open(f"{folder}/{part}-images-idx3-ubyte.gz") as f:
            raw = np.frombuffer(f.read(16 + n * 784), np.uint8, offset=16)
        with gzip.open(f"{folder}/{part}-labels-idx1-ubyte.gz") as f:
            self.labels = torch.tensor(np.frombuffer(f.read(8 + n), np.uint8, offset=8)).long()
        images = torch.tensor(raw.reshape(n, 1, 28, 28), dtype=torch.float32) / 255
        self.images = (F.avg_pool2d(images, 2) - 0.286) / 0.32

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return self.images[i], self.labels[i]


def conv_block(inputs, outputs, p):
    conv = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1)
    return nn.Sequential(conv, nn.Dropout(p), nn.BatchNorm2d(outputs), nn.ReLU())


class ConvNet(nn.Module):
    def __init__(self, p=0.2):
        super().__init__()
        self.features = nn.Sequential(conv_block(1, 12, p), conv_block(12, 24, p), conv_block(24, 32, p))
        self.fc = nn.Linear(32 * 4, 10)

    def forward(self, x):
        return self.fc(self.features(x).flatten(1))


def run_epoch(model, loader, optimizer=None):
    model.train(optimizer is not None)
    loss_sum, hits = 0.0, 0
    with torch.set_grad_enabled(optimizer is not None):
        for x, y in loader:
            out = model(x)
            loss = F.cross_entropy(out, y)
            if optimizer is not None:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            loss_sum += loss.item() * len(y)
            hits += (out.argmax(1) == y).sum().item()
    return loss_sum / len(loader.dataset), hits / len(loader.dataset)


def main():
    torch.manual_seed(60)
    train_set, val_set = Fashion("train", 2500), Fashion("t10k", 1000)
    train_loader = DataLoader(train_set, batch_size=50, shuffle=True)
    val_loader = DataLoader(val_set, batch_size=250)
    model = ConvNet()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.02)
    for epoch in range(5):
        loss, acc = run_epoch(model, train_loader, optimizer)
        val_loss, val_acc = run_epoch(model, val_loader)
        print(f"epoch {epoch}: train {loss:.4f} {acc:.4f}  val {val_loss:.4f} {val_acc:.4f}")
    loss, acc = run_epoch(model, DataLoader(train_set, batch_size=250))
    print(f"train rows again: {loss:.4f} {acc:.4f}")


if __name__ == "__main__":
    main()
