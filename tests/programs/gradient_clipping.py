"""A GRU on sequences with gradient clipping; epoch averages come from running sums of loss.item()."""

import torch
from torch import nn

from _digest import print_digest, seed_everything


class Adder(nn.Module):
    """Reads (value, mark) pairs and answers the sum of the two marked values."""

    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(2, 48, batch_first=True)
        self.out = nn.Linear(48, 1)

    def forward(self, x):
        return self.out(self.gru(x)[0][:, -1])


def adding_problem(rows, length=12):
    values = torch.rand(rows, length)
    marks = torch.zeros(rows, length)
    marks[torch.arange(rows), torch.randint(length // 2, (rows,))] = 1
    marks[torch.arange(rows), length // 2 + torch.randint(length // 2, (rows,))] = 1
    return torch.stack([values - 0.5, marks], dim=2), (values * marks).sum(1, keepdim=True)


def main():
    seed_everything(0)
    x, y = adding_problem(2000)
    model = Adder()
    criterion = nn.MSELoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for epoch in range(5):
        running, seen = 0.0, 0
        for rows in torch.randperm(len(x)).split(64):
            loss = criterion(model(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
            optimizer.step()
            running += loss.item() * len(rows)
            seen += len(rows)
            print("loss", repr(loss.item()), "grad_norm", repr(norm.item()))
        print("epoch", epoch, "average", repr(running / seen))
    print_digest(model)


if __name__ == "__main__":
    main()
