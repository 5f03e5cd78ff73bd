"""Progression of diabetes; the gradient of a step is gathered from several small pieces of the batch."""
import torch
import torch.nn as nn
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, TensorDataset


class Progression(nn.Module):
    def __init__(self, features, hidden=16):
        super().__init__()
        self.hidden = nn.Linear(features, hidden)
        self.drop = nn.Dropout(0.1)
        self.out = nn.Linear(hidden, 1)

    def forward(self, x):
        return self.out(self.drop(torch.tanh(self.hidden(x)))).squeeze(1)


def gather_gradient(model, criterion, x, y, piece):
    """Backward passes over pieces of the batch, so that only one piece is in memory; returns the mean loss."""
    pieces = list(zip(x.split(piece), y.split(piece)))
    seen = 0.0
    for part_x, part_y in pieces:
        loss = criterion(model(part_x), part_y)
        (loss / len(pieces)).backward()
        seen += loss.item() / len(pieces)
    return seen


def fit(model, loader, epochs, lr, piece, report):
    criterion = nn.MSELoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9, weight_decay=1e-3)
    for epoch in range(1, epochs + 1):
        model.train()
        mean_loss = 0.0
        for x, y in loader:
            optimizer.zero_grad()
            mean_loss += gather_gradient(model, criterion, x, y, piece) / len(loader)
            optimizer.step()
        if epoch % 4 == 0:
            print(f"epoch {epoch}: training loss {mean_loss:.4f}, " + report(model))


def main():
    torch.manual_seed(92)
    X, y = load_diabetes(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=122, random_state=92)
    mean, std, centre, spread = X_train.mean(0), X_train.std(0), y_train.mean(), y_train.std()
    as32 = lambda a: torch.tensor(a, dtype=torch.float32)
    train = TensorDataset(as32((X_train - mean) / std), as32((y_train - centre) / spread))
    x_test, t_test = as32((X_test - mean) / std), as32((y_test - centre) / spread)

    def report(model):
        model.eval()
        with torch.no_grad():
            error = (model(x_test) - t_test).pow(2).mean().item()
        return f"test error {error:.4f}, R2 {1 - error / t_test.var(unbiased=False).item():.3f}"

    fit(Progression(10), DataLoader(train, batch_size=64, shuffle=True), epochs=24, lr=0.02, piece=8, report=report)


if __name__ == "__main__":
    main()
