"""Digits read row by row by a recurrent net; best epoch kept, stops when validation no longer improves."""
import argparse
import copy

import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

SEED = 0


class RowReader(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.rnn = nn.GRU(8, hidden, batch_first=True)
        self.mix = nn.Linear(hidden, hidden)
        self.act = nn.ReLU()
        self.drop = nn.Dropout(0.2)
        self.out = nn.Linear(hidden, 10)
        for name, weight in self.rnn.named_parameters():
            if "weight_hh" in name:
                nn.init.orthogonal_(weight)
        for layer in (self.mix, self.out):
            nn.init.xavier_normal_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def forward(self, x):
        _, last = self.rnn(x)
        return self.out(self.drop(self.act(self.mix(last[0]))))


class Stopper:
    """Remembers the best weights, says when to stop."""

    def __init__(self, patience):
        self.patience, self.left = patience, patience
        self.best, self.state = 0.0, None

    def better(self, value, model):
        if value > self.best:
            self.best, self.left, self.state = value, self.patience, copy.deepcopy(model.state_dict())
        else:
            self.left -= 1
        return self.left > 0


def part(x, y, rows):
    return x[rows], y[rows]


@torch.inference_mode()
def accuracy(model, x, y):
    model.eval()
    return (model(x).argmax(dim=1) == y).float().mean().item()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--epochs", type=int, default=14)
    p.add_argument("--hidden", type=int, default=40)
    args = p.parse_args([])

    digits = load_digits()
    x, y = torch.tensor(digits.images, dtype=torch.float32) / 8 - 1, torch.tensor(digits.target)
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(1))
    x_train, y_train = part(x, y, order[:1000])
    x_val, y_val = part(x, y, order[1000:1250])
    x_test, y_test = part(x, y, order[1250:])

    torch.manual_seed(SEED)
    loader = DataLoader(TensorDataset(x_train, y_train), batch_size=25, shuffle=True)
    model = RowReader(args.hidden)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3, weight_decay=1e-4)
    stopper = Stopper(patience=4)
    for epoch in range(args.epochs):
        model.train()
        losses = []
        for xb, yb in loader:
            optimizer.zero_grad()
            loss = criterion(model(xb), yb)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
            optimizer.step()
            losses.append(loss.item())
        print(f"epoch {epoch + 1}  loss {sum(losses) / len(losses):.4f}")
        val_accuracy = accuracy(model, x_val, y_val)
        print(f"  validation {val_accuracy:.4f}")
        if not stopper.better(val_accuracy, model):
            break
    if stopper.state is not None:
        model.load_state_dict(stopper.state)
    print(f"test accuracy {accuracy(model, x_test, y_test):.4f}")


if __name__ == "__main__":
    main()
