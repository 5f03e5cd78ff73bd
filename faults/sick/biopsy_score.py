import torch
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import nn


class BiopsyScore(nn.Module):
    """Maps the 30 measurements of a biopsy to a probability."""

    def __init__(self, width=32):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(30, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.score = nn.Linear(width, 1)

    def forward(self, x):
        p = self.score(self.body(x)).squeeze(-1)
        return p.clamp(1e-6, 1 - 1e-6)


def prepare():
    features, target = load_breast_cancer(return_X_y=True)
    parts = train_test_split(features, target, test_size=0.25, random_state=5, stratify=target)
    scaler = StandardScaler().fit(parts[0])
    x_train, x_test = (torch.tensor(scaler.transform(p), dtype=torch.float32) for p in parts[:2])
    y_train, y_test = (torch.tensor(p, dtype=torch.float32) for p in parts[2:])
    return x_train, x_test, y_train, y_test


def evaluate(model, x, y):
    model.eval()
    with torch.no_grad():
        return ((model(x) > 0.5) == (y > 0.5)).float().mean().item()


def main():
    torch.manual_seed(2)
    x_train, x_test, y_train, y_test = prepare()
    model = BiopsyScore()
    bce = nn.BCELoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for epoch in range(10):
        model.train()
        history = []
        for batch in torch.randperm(len(x_train)).split(32):
            loss = bce(model(x_train[batch]), y_train[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            history.append(loss.item())
        mean_loss = sum(history) / len(history)
        print(f"{epoch:2d}  bce {mean_loss:7.4f}  test accuracy {evaluate(model, x_test, y_test):.4f}")


if __name__ == "__main__":
    main()
