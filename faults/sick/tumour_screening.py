"""Benign or malignant: a small binary classifier on the breast cancer table."""
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Screener(nn.Module):
    def __init__(self, n_features):
        super().__init__()
        self.hidden = nn.Linear(n_features, 16)
        self.out = nn.Linear(16, 1)

    def forward(self, x):
        return self.out(torch.tanh(self.hidden(x))).squeeze(1)


def train_one_epoch(model, loader, criterion, optimizer):
    model.train()
    total = 0.0
    optimizer.zero_grad()
    for features, target in loader:
        loss = criterion(model(features), target)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(target)
    return total / len(loader.dataset)


def evaluate(model, features, target):
    model.eval()
    with torch.no_grad():
        predicted = (model(features) > 0).float()
    return (predicted == target).float().mean().item()


def main():
    torch.manual_seed(1)
    data = load_breast_cancer()
    x_train, x_test, y_train, y_test = train_test_split(
        data.data, data.target, test_size=0.3, random_state=1, stratify=data.target
    )
    scaler = StandardScaler().fit(x_train)
    x_train = torch.tensor(scaler.transform(x_train), dtype=torch.float32)
    x_test = torch.tensor(scaler.transform(x_test), dtype=torch.float32)
    y_train = torch.tensor(y_train, dtype=torch.float32)
    y_test = torch.tensor(y_test, dtype=torch.float32)

    loader = DataLoader(TensorDataset(x_train, y_train), batch_size=16, shuffle=True)
    model = Screener(x_train.shape[1])
    criterion = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)

    for epoch in range(10):
        loss = train_one_epoch(model, loader, criterion, optimizer)
        accuracy = evaluate(model, x_test, y_test)
        print(f"epoch {epoch + 1:2d}/10  loss {loss:.4f}  test accuracy {accuracy:.4f}")


if __name__ == "__main__":
    main()
