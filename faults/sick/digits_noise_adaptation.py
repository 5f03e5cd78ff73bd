"""Adapt a digit classifier to corrupted images at test time by lowering the entropy of its answers."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


class ConvNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        )
        self.classifier = nn.Linear(32 * 16, 10)

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


def corrupt(x):
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(4))
    return 0.6 * x + 0.5 + 0.15 * noise


def train_clean(model, x, y, epochs=5):
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for epoch in range(epochs):
        model.train()
        order = torch.randperm(len(x))
        total = 0.0
        for i in range(0, len(x), 64):
            rows = order[i:i + 64]
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x[rows]), y[rows])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        print(f"clean epoch {epoch}: loss {total / len(x):.4f}")


def configure(module):
    module.requires_grad = isinstance(module, nn.BatchNorm2d)
    for child in module.children():
        configure(child)


def accuracy(model, x, y):
    model.eval()
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


def adapt(model, x, epochs=4):
    configure(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    model.train()
    for epoch in range(epochs):
        order = torch.randperm(len(x))
        total = 0.0
        for i in range(0, len(x), 60):
            logits = model(x[order[i:i + 60]])
            loss = -(logits.softmax(1) * logits.log_softmax(1)).sum(1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        print(f"adaptation epoch {epoch}: entropy {total / 10:.4f}")


def main():
    torch.manual_seed(8)
    images, labels = load_digits(return_X_y=True)
    x = torch.tensor(images / 16, dtype=torch.float32).reshape(-1, 1, 8, 8)
    y = torch.tensor(labels)
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=600, random_state=8, stratify=labels)
    x_shifted = corrupt(x_test)

    model = ConvNet()
    train_clean(model, x_train, y_train)
    print(f"accuracy on clean digits {accuracy(model, x_test, y_test):.3f}")
    print(f"accuracy on corrupted digits {accuracy(model, x_shifted, y_test):.3f}")
    adapt(model, x_shifted)
    print(f"accuracy after adaptation {accuracy(model, x_shifted, y_test):.3f}")


if __name__ == "__main__":
    main()
