"""Fashion-MNIST with a small trainer class: one method for a pass over any loader."""
import gzip

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

FOLDER = "/usr/share/datasets/fashion-mnist"


def garments(part, n):
    with gzip.open(f"{FOLDER}/{part}-images-idx3-ubyte.gz") as f:
        pixels = np.frombuffer(f.read(16 + n * 784), np.uint8, offset=16).reshape(n, 1, 28, 28)
    with gzip.open(f"{FOLDER}/{part}-labels-idx1-ubyte.gz") as f:
        labels = np.frombuffer(f.read(8 + n), np.uint8, offset=8)
    images = nn.functional.avg_pool2d(torch.tensor(pixels, dtype=torch.float32) / 255, 2)
    return TensorDataset((images - 0.286) / 0.32, torch.tensor(labels).long())


class Trainer:
    def __init__(self, model, lr):
        self.model = model
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9, weight_decay=5e-4)

    def run(self, loader, learn=True):
        """One pass over a loader; mean loss and accuracy."""
        self.model.train(learn)
        loss_sum, hits = 0.0, 0
        with torch.set_grad_enabled(learn):
            for x, y in loader:
                out = self.model(x)
                loss = self.criterion(out, y)
                if learn:
                    self.optimizer.zero_grad()
                    loss.backward()
                    self.optimizer.step()
                loss_sum += loss.item() * len(y)
                hits += (out.argmax(1) == y).sum().item()
        return loss_sum / len(loader.dataset), hits / len(loader.dataset)


def main():
    torch.manual_seed(72)
    train_set, val_set = random_split(garments("train", 2800), [2500, 300])
    train_loader = DataLoader(train_set, batch_size=50, shuffle=True)
    val_loader = DataLoader(val_set, batch_size=50)
    test_loader = DataLoader(garments("t10k", 1500), batch_size=500)
    model = nn.Sequential(
        nn.Conv2d(1, 12, 3, stride=2, padding=1), nn.ReLU(),
        nn.Conv2d(12, 24, 3, stride=2, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(24 * 16, 10),
    )
    trainer = Trainer(model, lr=0.02)
    for epoch in range(6):
        loss, acc = trainer.run(train_loader)
        val_loss, val_acc = trainer.run(val_loader, learn=False)
        print(f"epoch {epoch}: train {loss:.4f} {acc:.4f}, validation {val_loss:.4f} {val_acc:.4f}")
    print("test %.4f %.4f" % trainer.run(test_loader, learn=False))


if __name__ == "__main__":
    main()
