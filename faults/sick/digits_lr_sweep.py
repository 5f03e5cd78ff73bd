"""Which learning rate suits a small digit classifier?"""
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def make_model():
    return nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


def train(model, loader, lr, epochs):
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    model.train()
    for epoch in range(epochs):
        total = 0.0
        for x, y in loader:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            total += loss.item()
        print(f"  epoch {epoch + 1}: loss {total / len(loader):.4f}")


def test(model, x, y):
    model.eval()
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


def main():
    torch.manual_seed(29)
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X / 16 - 0.3, y, test_size=0.3, random_state=29, stratify=y)
    X_train, X_test = torch.tensor(X_train).float(), torch.tensor(X_test).float()
    y_train, y_test = torch.tensor(y_train), torch.tensor(y_test)
    loader = DataLoader(TensorDataset(X_train, y_train), batch_size=32, shuffle=True)

    model = make_model()
    results = {}
    for lr in (0.3, 0.1, 0.03, 0.01):
        print(f"learning rate {lr}")
        train(model, loader, lr, epochs=4)
        results[lr] = test(model, X_test, y_test)

    for lr, accuracy in results.items():
        print(f"lr {lr:<5} accuracy {accuracy:.3f}")
    best = max(results, key=results.get)
    print(f"best lr {best} with accuracy {results[best]:.3f}")


if __name__ == "__main__":
    main()
