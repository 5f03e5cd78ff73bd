"""How much label noise do a narrow and a wide network stand? Digits with 0, 20 and 40% random labels."""
import copy

import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

NOISE_LEVELS = (0.4, 0.2, 0.0)
EPOCHS = 6


class Net(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.fc1 = nn.Linear(64, hidden)
        self.fc2 = nn.Linear(hidden, 10)

    def forward(self, x):
        return self.fc2(F.relu(self.fc1(x)))


def add_noise(y, share):
    y = y.clone()
    flipped = torch.rand(len(y)) < share
    y[flipped] = torch.randint(0, 10, (int(flipped.sum()),))
    return y


def accuracy(model, x, y):
    model.eval()
    with torch.no_grad():
        return (model(x).argmax(dim=1) == y).float().mean().item()


def train_model(model, x, y, x_val, y_val):
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    best_val_acc = 0.0
    best_state = None
    for epoch in range(EPOCHS):
        model.train()
        total = 0.0
        for rows in torch.randperm(len(x)).split(32):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x[rows]), y[rows])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        val_acc = accuracy(model, x_val, y_val)
        print(f"    epoch {epoch + 1}: loss {total / len(x):.3f} validation {val_acc:.3f}")
        if val_acc > best_val_acc:
            best_val_acc = val_acc
            best_state = copy.deepcopy(model.state_dict())
    model.load_state_dict(best_state)


def main():
    torch.manual_seed(35)
    X, y = load_digits(return_X_y=True)
    X = torch.tensor(X / 16 - 0.3, dtype=torch.float32)
    y = torch.tensor(y)
    train, rest = train_test_split(range(len(X)), test_size=900, random_state=35)
    val, test = rest[:400], rest[400:]

    table = []
    for noise in NOISE_LEVELS:
        models = {"narrow": Net(16), "wide": Net(128)}
        noisy = add_noise(y[train], noise)
        for name, model in models.items():
            print(f"{name} network, {noise:.0%} of labels random")
            train_model(model, X[train], noisy, X[val], y[val])
            table.append((noise, name, accuracy(model, X[test], y[test])))

    for noise, name, acc in table:
        print(f"noise {noise:.0%} {name:6s} test accuracy {acc:.3f}")


if __name__ == "__main__":
    main()
