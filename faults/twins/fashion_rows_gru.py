"""Reads Fashion-MNIST pictures row by row with a GRU."""
import gzip

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def pictures(split, count):
    folder = "/usr/share/datasets/fashion-mnist"
    with gzip.open(f"{folder}/{split}-images-idx3-ubyte.gz") as f:
        x = np.frombuffer(f.read(16 + count * 784), np.uint8, offset=16).reshape(count, 28, 28)
    with gzip.open(f"{folder}/{split}-labels-idx1-ubyte.gz") as f:
        y = np.frombuffer(f.read(8 + count), np.uint8, offset=8)
    x = (x[:, ::2, ::2] / 255.0 - 0.286) / 0.353
    return TensorDataset(torch.tensor(x, dtype=torch.float32), torch.tensor(y).long())


class RowReader(nn.Module):
    def __init__(self, row=14, hidden=48):
        super().__init__()
        self.gru = nn.GRU(row, hidden, batch_first=True)
        self.label = nn.Linear(hidden, 10)

    def forward(self, x):
        _, last = self.gru(x)
        return self.label(last[0])


class Stepper:
    """An optimizer step with the usual care for recurrent nets."""

    def __init__(self, model, lr, momentum, max_norm):
        self.parameters = list(model.parameters())
        self.optimizer = torch.optim.SGD(self.parameters, lr=lr, momentum=momentum)
        self.max_norm = max_norm

    def __call__(self, loss):
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, self.max_norm)
        self.optimizer.step()


def evaluate(model, loader):
    model.eval()
    right = 0
    with torch.no_grad():
        for x, y in loader:
            right += (model(x).argmax(1) == y).sum().item()
    return right / len(loader.dataset)


def main():
    torch.manual_seed(30)
    train_loader = DataLoader(pictures("train", 2000), batch_size=40, shuffle=True)
    test_loader = DataLoader(pictures("t10k", 1000), batch_size=500)
    model = RowReader()
    criterion = nn.CrossEntropyLoss()
    step = Stepper(model, lr=0.1, momentum=0.9, max_norm=5.0)
    for epoch in range(5):
        model.train()
        losses = []
        for x, y in train_loader:
            loss = criterion(model(x), y)
            step(loss)
            losses.append(loss.item())
        print(f"epoch {epoch + 1}: loss {np.mean(losses):.4f} accuracy {evaluate(model, test_loader):.3f}")


if __name__ == "__main__":
    main()
