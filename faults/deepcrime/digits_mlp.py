"""Handwritten digits, 8x8: a perceptron with two hidden layers, early stopping."""
import copy

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

SEED = 0
EPOCHS = 20
BATCH_SIZE = 32
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 1e-3
PATIENCE = 4


def load():
    """Training, validation and test parts; the split does not depend on the seed."""
    X, y = load_digits(return_X_y=True)
    X_rest, X_test, y_rest, y_test = train_test_split(X, y, test_size=500, random_state=0, stratify=y)
    X_train, X_val, y_train, y_val = train_test_split(X_rest, y_rest, test_size=300, random_state=0, stratify=y_rest)
    scale = lambda a: torch.tensor((a - X_train.mean()) / X_train.std(), dtype=torch.float32)
    return scale(X_train), torch.tensor(y_train), scale(X_val), torch.tensor(y_val), scale(X_test), torch.tensor(y_test)


class Perceptron(nn.Module):
    def __init__(self, n_in=64, hidden=64, classes=10):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(n_in, hidden),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, classes),
        )
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x):
        return self.layers(x)


def evaluate(model, criterion, x, y):
    model.eval()
    with torch.no_grad():
        scores = model(x)
        return criterion(scores, y).item(), (scores.argmax(1) == y).float().mean().item()


def main():
    torch.manual_seed(SEED)
    x_train, y_train, x_val, y_val, x_test, y_test = load()
    train_loader = DataLoader(TensorDataset(x_train, y_train), batch_size=BATCH_SIZE, shuffle=True)
    model = Perceptron()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)

    best_loss, best_state, waited = float("inf"), None, 0
    for epoch in range(EPOCHS):
        model.train()
        total = 0.0
        for xb, yb in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(xb), yb)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), max_norm=5.0)
            optimizer.step()
            total += loss.item()
        print(f"epoch {epoch + 1}: loss {total / len(train_loader):.4f}")
        val_loss, val_accuracy = evaluate(model, criterion, x_val, y_val)
        print(f"  validation loss {val_loss:.4f} accuracy {val_accuracy:.4f}")
        if val_loss < best_loss:
            best_loss, best_state, waited = val_loss, copy.deepcopy(model.state_dict()), 0
        elif (waited := waited + 1) >= PATIENCE:
            break

    if best_state is not None:
        model.load_state_dict(best_state)
    print(f"test accuracy {evaluate(model, criterion, x_test, y_test)[1]:.4f}")


if __name__ == "__main__":
    main()
