"""Starts from weights that were trained on a first half of the pictures, goes on with the second half."""
import gzip
import io

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Subset, TensorDataset

FOLDER = "/usr/share/datasets/fashion-mnist"


def fashion(split, n):
    with gzip.open(f"{FOLDER}/{split}-images-idx3-ubyte.gz") as f:
        x = torch.tensor(np.frombuffer(f.read(16 + n * 784), np.uint8, offset=16).reshape(n, 784).astype("f4"))
    with gzip.open(f"{FOLDER}/{split}-labels-idx1-ubyte.gz") as f:
        y = torch.tensor(np.frombuffer(f.read(8 + n), np.uint8, offset=8).astype("i8"))
    return TensorDataset((x / 255 - 0.286) / 0.353, y)


class Net(nn.Module):
    def __init__(self, hidden=64):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(784, hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, 10)

    def forward(self, x):
        return self.c(F.relu(self.b(F.relu(self.a(x)))))


def saved(model):
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    return file


def from_checkpoint(file):
    model = Net()
    model.load_state_dict(torch.load(file, weights_only=True))
    return model


class Session:
    def __init__(self, model, lr, weight_decay=1e-2):
        self.model = model
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=lr, weight_decay=weight_decay)

    def resume(self, file):
        self.model = from_checkpoint(file)
        return self

    def run(self, loader, test, epochs, title):
        for epoch in range(1, epochs + 1):
            self.model.train()
            losses = []
            for x, y in loader:
                self.optimizer.zero_grad()
                loss = F.cross_entropy(self.model(x), y)
                loss.backward()
                self.optimizer.step()
                losses.append(loss.item())
            print(f"{title} {epoch}: loss {np.mean(losses):.4f} accuracy {self.accuracy(test):.4f}")
        return self.model

    @torch.no_grad()
    def accuracy(self, test):
        self.model.eval()
        x, y = test.tensors
        return (self.model(x).argmax(1) == y).float().mean().item()


def main():
    torch.manual_seed(88)
    pictures, test = fashion("train", 3600), fashion("t10k", 1000)
    first = DataLoader(Subset(pictures, range(1200)), batch_size=40, shuffle=True)
    second = DataLoader(Subset(pictures, range(1200, 3600)), batch_size=40, shuffle=True)
    early = Session(Net(), lr=1e-3).run(first, test, 2, "first half")
    file = saved(early)
    Session(Net(), lr=7e-4).resume(file).run(second, test, 3, "second half")


if __name__ == "__main__":
    main()
