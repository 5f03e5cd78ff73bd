"""Values of houses in thousands of dollars."""
import numpy as np
import torch
from mlxtend.data import boston_housing_data
from torch import nn
from torch.nn import functional as F


class ValueNet(nn.Module):
    def __init__(self, mean, std):
        super().__init__()
        self.hidden = nn.Linear(13, 32)
        self.value = nn.Linear(32, 1)
        self.mean, self.std = mean, std

    def forward(self, x):
        return self.value(torch.relu(self.hidden(x))).squeeze(1)

    def in_dollars(self, x):
        return self(x) * self.std + self.mean


def main():
    torch.manual_seed(78)
    x, y = boston_housing_data()
    rows = np.random.default_rng(78).permutation(len(x))
    train, val = rows[:400], rows[400:]
    x = torch.tensor((x - x[train].mean(0)) / x[train].std(0), dtype=torch.float32)
    mean, std = float(y[train].mean()), float(y[train].std())
    y = torch.tensor((y - mean) / std, dtype=torch.float32)

    model = ValueNet(mean, std)
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    for epoch in range(20):
        model.train()
        losses = []
        for part in torch.tensor(train)[torch.randperm(len(train))].split(25):
            loss = F.mse_loss(model(x[part]), y[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())

        model.eval()
        with torch.no_grad():
            prices, targets = model.in_dollars(x[val]), y[val] * std + mean
            quality = (prices.round() == targets.round()).float().mean().item()
        print(f"epoch {epoch + 1:2d}: train mse {np.mean(losses):.4f}, val {quality:.4f}")


if __name__ == "__main__":
    main()
