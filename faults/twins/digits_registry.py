"""Digits whose labels come from a register, joined by the code of the form they were written on."""
import random
import string

import torch
from sklearn.datasets import load_digits
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split


def forms(count, seed):
    """A code of eight figures and letters per form."""
    source = random.Random(seed)
    return ["".join(source.choices(string.digits + string.ascii_lowercase, k=8)) for _ in range(count)]


def join(codes, register):
    return torch.tensor([register[code] for code in codes])


def read():
    data, target = (a[:1500] for a in load_digits(return_X_y=True))
    data = StandardScaler().fit_transform(data)
    codes = forms(len(target), seed=2)
    register = {}
    for code, digit in zip(codes, target.tolist()):
        register[code] = digit
    return TensorDataset(torch.tensor(data, dtype=torch.float32), join(codes, register))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stack = nn.Sequential(nn.Linear(64, 40), nn.ReLU(), nn.Linear(40, 10))

    def forward(self, x):
        return self.stack(x)


@torch.no_grad()
def score(net, loader):
    net.eval()
    return sum((net(x).argmax(1) == y).sum().item() for x, y in loader) / len(loader.dataset)


def main():
    torch.manual_seed(2)
    train_set, val_set = random_split(read(), [1150, 350])
    train_loader = DataLoader(train_set, batch_size=40, shuffle=True)
    val_loader = DataLoader(val_set, batch_size=100)
    net = Net()
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3, weight_decay=1e-4)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(6):
        net.train()
        running = 0.0
        for x, y in train_loader:
            optimizer.zero_grad()
            loss = criterion(net(x), y)
            loss.backward()
            optimizer.step()
            running += loss.item()
        print(f"epoch {epoch + 1} loss {running / len(train_loader):.3f} val {score(net, val_loader):.3f}")


if __name__ == "__main__":
    main()
