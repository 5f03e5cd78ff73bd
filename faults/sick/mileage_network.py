import numpy as np
import torch
from mlxtend.data import autompg_data
from torch import nn


def load(seed):
    table, mpg = autompg_data()
    table = table[:, :7]
    rows = np.random.default_rng(seed).permutation(len(mpg))
    table, mpg = table[rows], mpg[rows]
    n = 300
    table = (table - table[:n].mean(0)) / table[:n].std(0)
    as_tensor = lambda a: torch.tensor(a, dtype=torch.float32)
    return as_tensor(table[:n]), as_tensor(mpg[:n]), as_tensor(table[n:]), as_tensor(mpg[n:])


class Mileage(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(7, 24), nn.Tanh(), nn.Linear(24, 24), nn.Tanh(), nn.Linear(24, 1)
        )

    def forward(self, cars):
        return self.layers(cars).squeeze(-1)


torch.manual_seed(2)
x, y, x_test, y_test = load(2)
model = Mileage()
opt = torch.optim.Adam(model.parameters(), lr=1e-2)

for epoch in range(25):
    model.train()
    loss_sum = 0.0
    for batch in torch.randperm(len(x)).split(15):
        opt.zero_grad()
        loss = nn.functional.mse_loss(model(x[batch]), y[batch])
        loss.backward()
        opt.step()
        loss_sum += loss.item() * len(batch)
    if epoch % 4 == 0:
        model.eval()
        with torch.no_grad():
            unexplained = ((model(x_test) - y_test) ** 2).sum() / ((y_test - y_test.mean()) ** 2).sum()
        print(f"epoch {epoch:2d}: mse {loss_sum / len(x):.4f}, test R2 {1 - unexplained.item():.4f}")
