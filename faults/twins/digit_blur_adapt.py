"""A digit classifier meets noisy scans: adapt it by sharpening its own answers, then report."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, TensorDataset


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.bn1 = nn.Linear(64, 64), nn.BatchNorm1d(64)
        self.fc2, self.bn2 = nn.Linear(64, 48), nn.BatchNorm1d(48)
        self.out = nn.Linear(48, 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.fc1(x)))
        return self.out(F.relu(self.bn2(self.fc2(x))))


def scan(x, seed):
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))
    return 0.6 * x + 1.0 + 0.4 * noise


def train(model, loader, epochs):
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for epoch in range(epochs):
        model.train()
        total = 0.0
        for x, y in loader:
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        print(f"epoch {epoch}: loss {total / len(loader):.4f}")


def accuracy(model, x, y):
    model.eval()
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


def adapt(model, x, rounds=6):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    model.train()
    for epoch in range(rounds):
        entropies = []
        for rows in torch.randperm(len(x)).split(50):
            logits = model(x[rows])
            entropy = -(logits.softmax(1) * logits.log_softmax(1)).sum(1).mean()
            optimizer.zero_grad()
            entropy.backward()
            optimizer.step()
            entropies.append(entropy.item())
        print(f"adaptation {epoch}: entropy {sum(entropies) / len(entropies):.4f}")


def main():
    torch.manual_seed(79)
    images, labels = load_digits(return_X_y=True)
    x = torch.tensor((images / 16 - 0.305) / 0.376, dtype=torch.float32)
    x_train, x_rest, y_train, y_rest = train_test_split(x, torch.tensor(labels), test_size=800, random_state=79)
    x_rest = scan(x_rest, seed=79)
    x_test, x_spare, y_test, _ = train_test_split(x_rest, y_rest, test_size=400, random_state=79)

    model = Net()
    train(model, DataLoader(TensorDataset(x_train, y_train), batch_size=32, shuffle=True), epochs=6)
    print(f"scans before: accuracy {accuracy(model, x_test, y_test):.4f}")
    adapt(model, x_spare)
    print(f"scans after: accuracy {accuracy(model, x_test, y_test):.4f}")


if __name__ == "__main__":
    main()
