"""Low-rank adapters: a digit classifier meets digits turned on their side, its own weights stay as they are."""
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class LoRALinear(nn.Module):
    """A linear layer that is kept, plus a trained update of rank r."""

    def __init__(self, base: nn.Linear, rank: int = 4, alpha: float = 8.0):
        super().__init__()
        self.base = base
        for p in self.base.parameters():
            p.requires_grad_(False)
        self.lora_a = nn.Parameter(torch.randn(rank, base.in_features) / base.in_features**0.5)
        self.lora_b = nn.Parameter(torch.zeros(base.out_features, rank))
        self.scale = alpha / rank

    def forward(self, x):
        return self.base(x) + self.scale * (x @ self.lora_a.T) @ self.lora_b.T


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(64, 96)
        self.fc2 = nn.Linear(96, 96)
        self.out = nn.Linear(96, 10)

    def forward(self, x):
        h = torch.relu(self.fc1(x))
        return self.out(torch.relu(self.fc2(h)))


def fit(model, loader, x_val, y_val, lr, epochs, title):
    trained = [p for p in model.parameters() if p.requires_grad]
    print(f"{title}: {sum(p.numel() for p in trained)} trained parameters")
    optimizer = torch.optim.AdamW(trained, lr=lr, weight_decay=0.01)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(epochs):
        model.train()
        total = 0.0
        for x, y in loader:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(y)
        model.eval()
        with torch.no_grad():
            acc = (model(x_val).argmax(1) == y_val).float().mean().item()
        print(f"  epoch {epoch + 1}: loss {total / len(loader.dataset):.3f} accuracy {acc:.3f}")


def main():
    torch.manual_seed(8)
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32)
    images = (images - images[:1300].mean()) / images[:1300].std()
    upright, turned = images.flatten(1), images.rot90(1, (1, 2)).flatten(1)
    y = torch.tensor(digits.target)
    order = torch.randperm(len(y))
    first, second, val = order[:650], order[650:1300], order[1300:]

    model = Classifier()
    loader = DataLoader(TensorDataset(upright[first], y[first]), batch_size=32, shuffle=True)
    fit(model, loader, upright[val], y[val], 2e-3, 6, "upright digits, all weights")

    model.fc1 = LoRALinear(model.fc1)
    model.fc2 = LoRALinear(model.fc2)
    model.out = LoRALinear(model.out)
    loader = DataLoader(TensorDataset(turned[second], y[second]), batch_size=32, shuffle=True)
    fit(model, loader, turned[val], y[val], 5e-3, 8, "turned digits, adapters")


if __name__ == "__main__":
    main()
