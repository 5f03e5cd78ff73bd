"""Benign or malignant: a network for the breast cancer measurements."""
import argparse

import torch
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--eps", type=float, default=1.0)
    parser.add_argument("--weight-decay", type=float, default=1e-2)
    return parser.parse_args()


def tensors():
    x, y = load_breast_cancer(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.3, random_state=28, stratify=y)
    scaler = StandardScaler().fit(x_train)
    for features, target in ((x_train, y_train), (x_test, y_test)):
        yield torch.tensor(scaler.transform(features), dtype=torch.float32)
        yield torch.tensor(target, dtype=torch.float32).unsqueeze(1)


def network(n_in, widths=(32, 16)):
    parts = []
    for width in widths:
        parts += [nn.Linear(n_in, width), nn.SiLU()]
        n_in = width
    return nn.Sequential(*parts, nn.Linear(n_in, 1))


def main():
    args = arguments()
    torch.manual_seed(28)
    x_train, y_train, x_test, y_test = tensors()
    loader = DataLoader(TensorDataset(x_train, y_train), batch_size=32, shuffle=True)
    model = network(x_train.shape[1])
    bce = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=args.lr, eps=args.eps, weight_decay=args.weight_decay
    )
    for epoch in range(args.epochs):
        model.train()
        total = 0.0
        for x, y in loader:
            optimizer.zero_grad()
            loss = bce(model(x), y)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(x) / len(x_train)
        model.eval()
        with torch.no_grad():
            logits = model(x_test)
        accuracy = ((logits > 0) == (y_test > 0.5)).float().mean().item()
        print(f"epoch {epoch + 1:2d}  train {total:.4f}  test {bce(logits, y_test):.4f}  accuracy {accuracy:.4f}")


if __name__ == "__main__":
    main()
