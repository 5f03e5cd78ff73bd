"""Digits with two convolutions and a pooled head."""
import argparse

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn


class PooledConv(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.first = nn.Conv2d(1, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, 2 * channels, 3, padding=1)
        self.pool = nn.AvgPool2d(2)
        self.head = nn.Linear(2 * channels * 4, 10)

    def forward(self, x):
        x = self.pool(nn.functional.gelu(self.first(x)))
        x = self.pool(nn.functional.gelu(self.second(x)))
        return self.head(x.flatten(1))


def split(seed):
    digits = load_digits()
    parts = train_test_split(digits.images, digits.target, test_size=400, random_state=seed, stratify=digits.target)
    mean, std = parts[0].mean(), parts[0].std()
    images = [torch.tensor((p - mean) / std, dtype=torch.float32).unsqueeze(1) for p in parts[:2]]
    return *images, *(torch.tensor(p) for p in parts[2:])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--channels", type=int, default=12)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--lr", type=float, default=0.01)
    args = parser.parse_args()
    torch.manual_seed(14)
    x_train, x_test, y_train, y_test = split(14)
    model = PooledConv(args.channels)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr, weight_decay=1e-4)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(args.epochs):
        model.train()
        losses = []
        for rows in torch.randperm(len(x_train)).split(50):
            loss = criterion(model(x_train[rows]), y_train[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        model.eval()
        with torch.no_grad():
            accuracy = (model(x_test).argmax(1) == y_test).float().mean().item()
        print(f"{epoch + 1} loss {sum(losses) / len(losses):.3f} test accuracy {accuracy:.3f}")


if __name__ == "__main__":
    main()
