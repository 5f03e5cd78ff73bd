import torch
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, TensorDataset


class Trainer:
    """Trains a model in epochs and keeps a history."""

    def __init__(self, model, loader, epochs):
        self.model, self.loader, self.epochs = model, loader, epochs
        self.optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        self.scheduler = torch.optim.lr_scheduler.MultiStepLR(self.optimizer, milestones=[4, 7], gamma=0.1)
        self.criterion = torch.nn.CrossEntropyLoss()
        self.history = []

    def epoch(self):
        self.model.train()
        total = 0.0
        for x, y in self.loader:
            self.optimizer.zero_grad()
            loss = self.criterion(self.model(x), y)
            loss.backward()
            self.optimizer.step()
            total += loss.item()
        self.scheduler.step()
        return total / len(self.loader)

    def score(self, x, y):
        self.model.eval()
        with torch.no_grad():
            return (self.model(x).argmax(1) == y).float().mean().item()

    def fit(self, x_val, y_val):
        for number in range(1, self.epochs + 1):
            loss = self.epoch()
            accuracy = self.score(x_val, y_val)
            self.history.append((loss, accuracy))
            print(f"epoch {number:2d} loss {loss:.4f} accuracy {accuracy:.4f}")


if __name__ == "__main__":
    torch.manual_seed(6)
    X, y = load_breast_cancer(return_X_y=True)
    X_train, X_val, y_train, y_val = train_test_split(X, y, test_size=0.3, random_state=6, stratify=y)
    mu, sigma = X_train.mean(0), X_train.std(0)
    X_train, X_val = (torch.tensor((a - mu) / sigma, dtype=torch.float32) for a in (X_train, X_val))
    y_train, y_val = torch.tensor(y_train), torch.tensor(y_val)

    net = torch.nn.Sequential(torch.nn.Linear(30, 32), torch.nn.ReLU(), torch.nn.Linear(32, 2))
    loader = DataLoader(TensorDataset(X_train, y_train), batch_size=16, shuffle=True)
    Trainer(net, loader, epochs=10).fit(X_val, y_val)
