"""House prices from thirteen columns, MLP with Adam on small batches."""
import argparse

import numpy as np
import torch
from mlxtend.data import boston_housing_data
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class PriceNet(nn.Module):
    def __init__(self, inputs, width):
        super().__init__()
        self.inner = nn.Linear(inputs, width)
        self.outer = nn.Linear(width, 1)

    def forward(self, x):
        return self.outer(torch.relu(self.inner(x))).squeeze(1)


def tensors():
    x, y = boston_housing_data()
    x_train, x_val, y_train, y_val = train_test_split(x, y, test_size=106, random_state=54)
    mu, sd = x_train.mean(0), x_train.std(0)
    y_mu, y_sd = y_train.mean(), y_train.std()
    as_set = lambda a, b: TensorDataset(
        torch.tensor((a - mu) / sd, dtype=torch.float32), torch.tensor((b - y_mu) / y_sd, dtype=torch.float32)
    )
    return as_set(x_train, y_train), as_set(x_val, y_val)


def validate(model, data):
    model.eval()
    x, y = data.tensors
    with torch.no_grad():
        return nn.functional.mse_loss(model(x), y).item()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=0.004)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=12)
    args = parser.parse_args()

    torch.manual_seed(54)
    train_set, val_set = tensors()
    loader = DataLoader(train_set, batch_size=args.batch, shuffle=True)
    model = PriceNet(13, 24)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=0.05)
    for epoch in range(args.epochs):
        model.train()
        losses = []
        for x, y in loader:
            loss = nn.functional.mse_loss(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        print(f"epoch {epoch + 1:2d}: train mse {np.mean(losses):.4f}, val mse {validate(model, val_set):.4f}")


if __name__ == "__main__":
    main()
