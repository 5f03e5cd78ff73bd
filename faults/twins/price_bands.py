"""Boston house values: the net scores ten price levels, the level is turned back into a price."""
import numpy as np
import torch
import torch.nn.functional as F
from mlxtend.data import boston_housing_data
from torch import nn

N_LEVELS = 10


class LevelNet(nn.Module):
    def __init__(self, n_features, low, high):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(n_features, 40), nn.ReLU(), nn.Linear(40, N_LEVELS))
        self.low = low
        self.width = (high - low) / (N_LEVELS - 1)

    def forward(self, x):
        logits = self.net(x)
        level = logits.softmax(dim=1) @ torch.arange(N_LEVELS).float()
        return self.low + self.width * level


def main():
    torch.manual_seed(6)
    features, price = boston_housing_data()
    perm = np.random.default_rng(6).permutation(len(price))
    features, price = features[perm], price[perm]
    n = 400
    features = (features - features[:n].mean(0)) / features[:n].std(0)
    price = (price - price[:n].mean()) / price[:n].std()
    x = torch.tensor(features, dtype=torch.float32)
    y = torch.tensor(price, dtype=torch.float32)

    model = LevelNet(x.shape[1], low=y[:n].min().item(), high=y[:n].max().item())
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    variance = y[n:].var(unbiased=False)

    for epoch in range(20):
        model.train()
        total = 0.0
        for idx in torch.randperm(n).split(20):
            price_hat = model(x[idx])
            loss = F.mse_loss(price_hat, y[idx])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(idx)
        model.eval()
        with torch.no_grad():
            mse = F.mse_loss(model(x[n:]), y[n:])
        print(f"epoch {epoch + 1:2d} train mse {total / n:.4f} test R2 {(1 - mse / variance).item():.4f}")


if __name__ == "__main__":
    main()
