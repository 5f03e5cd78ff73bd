"""Benign or malignant from cell measurements; two batch-normalised layers, SGD, manual batches."""
import numpy as np
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import nn


class CellNet(nn.Module):
    def __init__(self, features, hidden=(24, 12), bn_momentum=0.99):
        super().__init__()
        self.inner = nn.Linear(features, hidden[0])
        self.norm1 = nn.BatchNorm1d(hidden[0], momentum=bn_momentum)
        self.middle = nn.Linear(hidden[0], hidden[1])
        self.norm2 = nn.BatchNorm1d(hidden[1], momentum=bn_momentum)
        self.outer = nn.Linear(hidden[1], 1)

    def forward(self, x):
        x = torch.relu(self.norm1(self.inner(x)))
        x = torch.relu(self.norm2(self.middle(x)))
        return self.outer(x).squeeze(1)


def fit_epoch(model, optimizer, x, y, batch_size):
    model.train()
    losses = []
    for rows in torch.randperm(len(x)).split(batch_size):
        loss = nn.functional.binary_cross_entropy_with_logits(model(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return np.mean(losses)


@torch.no_grad()
def assess(model, x, y):
    model.eval()
    logits = model(x)
    loss = nn.functional.binary_cross_entropy_with_logits(logits, y).item()
    return loss, ((logits > 0) == (y > 0.5)).float().mean().item()


def main():
    torch.manual_seed(58)
    x, y = load_breast_cancer(return_X_y=True)
    x_train, x_val, y_train, y_val = train_test_split(x, y, test_size=177, random_state=58, stratify=y)
    scaler = StandardScaler().fit(x_train)
    x_train, x_val = (torch.tensor(scaler.transform(a), dtype=torch.float32) for a in (x_train, x_val))
    y_train, y_val = (torch.tensor(a, dtype=torch.float32) for a in (y_train, y_val))

    model = CellNet(features=30)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9, weight_decay=1e-3)
    for epoch in range(10):
        loss = fit_epoch(model, optimizer, x_train, y_train, batch_size=32)
        val_loss, val_acc = assess(model, x_val, y_val)
        print(f"epoch {epoch:2d} loss {loss:.4f} val loss {val_loss:.4f} val accuracy {val_acc:.4f}")


if __name__ == "__main__":
    main()
