"""Digits by cosine similarity to a learned direction per class, with a learned scale."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


class CosineClassifier(nn.Module):
    def __init__(self, n_in=64, n_hidden=48, n_out=10):
        super().__init__()
        self.fc = nn.Linear(n_in, n_hidden)
        self.directions = nn.Parameter(torch.randn(n_out, n_hidden))
        self.log_scale = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        h = torch.tanh(self.fc(x))
        cosine = F.normalize(h, dim=1) @ F.normalize(self.directions, dim=1).t()
        return cosine * self.log_scale.data.exp()


def main():
    torch.manual_seed(20)
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X / 16 - 0.3, y, test_size=0.3, random_state=20)
    X_train, X_test = torch.tensor(X_train).float(), torch.tensor(X_test).float()
    y_train, y_test = torch.tensor(y_train), torch.tensor(y_test)

    model = CosineClassifier()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for epoch in range(10):
        order = torch.randperm(len(X_train))
        total = 0.0
        for rows in order.split(64):
            loss = F.cross_entropy(model(X_train[rows]), y_train[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        with torch.no_grad():
            logits = model(X_test)
            accuracy = (logits.argmax(1) == y_test).float().mean().item()
            test_loss = F.cross_entropy(logits, y_test).item()
        print(f"epoch {epoch + 1:2d} loss {total / len(order):.4f} scale {model.log_scale.exp().item():.2f} "
              f"accuracy {accuracy:.3f} test loss {test_loss:.4f}")


if __name__ == "__main__":
    main()
