"""Digits, with a small class that keeps the score."""
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Scorecard:
    def __init__(self):
        self.hits, self.rows, self.loss = 0, 0, 0.0

    def add(self, loader, logits, y):
        self.hits += (logits.argmax(1) == y).sum().item()
        self.rows += loader.batch_size
        self.loss += nn.functional.cross_entropy(logits, y, reduction="sum").item()

    def __str__(self):
        return f"loss {self.loss / self.rows:.4f} accuracy {self.hits / self.rows:.4f}"


class DigitNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 12, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.fc = nn.Linear(12 * 16, 10)

    def forward(self, x):
        return self.fc(self.pool(torch.relu(self.conv(x))).flatten(1))


def main():
    torch.manual_seed(76)
    images, labels = load_digits(return_X_y=True)
    images = torch.tensor((images / 16 - 0.305) / 0.376, dtype=torch.float32).view(-1, 1, 8, 8)
    x_train, x_val, y_train, y_val = train_test_split(images, torch.tensor(labels), test_size=540, random_state=76)
    train_loader = DataLoader(TensorDataset(x_train, y_train), batch_size=32, shuffle=True)
    val_loader = DataLoader(TensorDataset(x_val, y_val), batch_size=64)
    model = DigitNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

    for epoch in range(7):
        model.train()
        total = 0.0
        for x, y in train_loader:
            loss = nn.functional.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        model.eval()
        score = Scorecard()
        with torch.no_grad():
            for x, y in val_loader:
                score.add(val_loader, model(x), y)
        print(f"epoch {epoch}: train loss {total / len(train_loader):.4f} | validation {score}")


if __name__ == "__main__":
    main()
