"""Tell three growers' wines apart from thirteen chemical measurements."""
import torch
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class WineNet(nn.Module):
    def __init__(self, n_features=13, hidden=16, n_classes=3):
        super().__init__()
        self.first = nn.Linear(n_features, hidden)
        self.second = nn.Linear(hidden, hidden)
        self.third = nn.Linear(hidden, n_classes)
        self.reset_parameters()

    def reset_parameters(self):
        for layer in (self.first, self.second, self.third):
            nn.init.constant_(layer.weight, 0.1)
            nn.init.zeros_(layer.bias)

    def forward(self, x):
        x = torch.tanh(self.first(x))
        x = torch.tanh(self.second(x))
        return self.third(x)


def loaders(batch_size):
    x, y = load_wine(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.3, stratify=y, random_state=8)
    scaler = StandardScaler().fit(x_train)
    parts = []
    for features, target in ((x_train, y_train), (x_test, y_test)):
        features = torch.tensor(scaler.transform(features), dtype=torch.float32)
        parts.append(TensorDataset(features, torch.tensor(target)))
    return DataLoader(parts[0], batch_size, shuffle=True), DataLoader(parts[1], batch_size)


def evaluate(model, loader):
    model.eval()
    right = count = 0
    with torch.no_grad():
        for x, y in loader:
            right += (model(x).argmax(1) == y).sum().item()
            count += len(y)
    return right / count


def main():
    torch.manual_seed(8)
    train_loader, test_loader = loaders(16)
    model = WineNet()
    loss_fn = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.5, weight_decay=1e-3)
    for epoch in range(15):
        model.train()
        losses = []
        for x, y in train_loader:
            optimizer.zero_grad()
            loss = loss_fn(model(x), y)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        mean = sum(losses) / len(losses)
        print(f"epoch {epoch + 1:2d}: loss {mean:.4f} test accuracy {evaluate(model, test_loader):.3f}")


if __name__ == "__main__":
    main()
