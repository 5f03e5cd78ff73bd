"""torch.compile(backend="aot_eager"); prints dynamo's counts at the end. Argument: dropout (adds dropout)."""

import sys

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch._dynamo.utils import counters
from torch.utils.data import DataLoader, TensorDataset

from _digest import print_digest, seed_everything


class Residual(nn.Module):
    def __init__(self, width, p):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, 2 * width)
        self.down = nn.Linear(2 * width, width)
        self.drop = nn.Dropout(p)

    def forward(self, x):
        return x + self.drop(self.down(F.gelu(self.up(self.norm(x)))))


def main():
    seed_everything(0)
    p = 0.1 if "dropout" in sys.argv[1:] else 0.0
    images, labels = load_digits(return_X_y=True)
    x = torch.tensor(images / 8 - 1, dtype=torch.float32)
    loader = DataLoader(TensorDataset(x, torch.tensor(labels)), batch_size=64, shuffle=True, drop_last=True)

    model = nn.Sequential(nn.Linear(64, 64), Residual(64, p), Residual(64, p), nn.LayerNorm(64), nn.Linear(64, 10))
    compiled = torch.compile(model, backend="aot_eager")
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for epoch in range(2):
        for x, y in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(compiled(x), y)
            loss.backward()
            optimizer.step()
            print("loss", repr(loss.item()))

    graphs = counters["stats"]["unique_graphs"]
    print("graphs", graphs, "recompiles", graphs - 1, "graph_breaks", sum(counters["graph_break"].values()))
    print_digest(model)


if __name__ == "__main__":
    main()
