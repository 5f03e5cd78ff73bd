"""A small convolutional network with batch normalisation, one-cycle schedule, best epoch kept."""
import copy
import gzip

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset, random_split


def read_idx(path, header, count, width):
    with gzip.open(path) as f:
        return np.frombuffer(f.read(header + count * width), np.uint8, offset=header)


def load(split, n):
    root = f"/usr/share/datasets/fashion-mnist/{split}"
    x = read_idx(f"{root}-images-idx3-ubyte.gz", 16, n, 784).reshape(n, 1, 28, 28)
    y = read_idx(f"{root}-labels-idx1-ubyte.gz", 8, n, 1)
    x = nn.functional.avg_pool2d(torch.tensor(x, dtype=torch.float32) / 255, 2)
    return TensorDataset((x - 0.286) / 0.32, torch.tensor(y, dtype=torch.long))


class ConvBlock(nn.Sequential):
    def __init__(self, cin, cout):
        super().__init__(
            nn.Conv2d(cin, cout, 3, padding=1, bias=False), nn.BatchNorm2d(cout), nn.ReLU(inplace=True), nn.MaxPool2d(2)
        )


class SmallCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(ConvBlock(1, 12), ConvBlock(12, 24))
        self.classifier = nn.Linear(24 * 9, 10)

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


def run_epoch(model, loader, criterion, optimizer=None, scheduler=None):
    training = optimizer is not None
    model.train(training)
    loss_sum = hits = count = 0
    with torch.set_grad_enabled(training):
        for x, y in loader:
            logits = model(x)
            loss = criterion(logits, y)
            if training:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                scheduler.step()
            loss_sum += loss.item() * len(y)
            hits += (logits.argmax(1) == y).sum().item()
            count += len(y)
    return loss_sum / count, hits / count


def main(epochs=5):
    torch.manual_seed(25)
    train_set, val_set = random_split(load("train", 3000), [2400, 600])
    train_loader = DataLoader(train_set, batch_size=60, shuffle=True)
    val_loader = DataLoader(val_set, batch_size=300)
    test_loader = DataLoader(load("t10k", 1000), batch_size=500)
    model = SmallCNN()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=epochs * len(train_loader))
    best, best_state = 0.0, None
    for epoch in range(1, epochs + 1):
        train_loss, train_acc = run_epoch(model, train_loader, criterion, optimizer, scheduler)
        val_loss, val_acc = run_epoch(model, val_loader, criterion)
        print(f"epoch {epoch}: train {train_loss:.3f} ({train_acc:.3f}) validation {val_loss:.3f} ({val_acc:.3f})")
        if val_acc > best:
            best, best_state = val_acc, copy.deepcopy(model.state_dict())
    model.load_state_dict(best_state)
    print("test accuracy %.3f" % run_epoch(model, test_loader, criterion)[1])


if __name__ == "__main__":
    main()
