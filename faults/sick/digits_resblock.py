"""A small residual conv net for the 8x8 digits."""
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class ResBlock(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv_a = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv_b = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        out = F.relu(self.conv_a(x))
        out = self.conv_b(x)
        return F.relu(x + out)


class ResNet(nn.Module):
    def __init__(self, channels=12):
        super().__init__()
        self.stem = nn.Conv2d(1, channels, 3, padding=1)
        self.block = ResBlock(channels)
        self.pool = nn.AvgPool2d(4)
        self.fc = nn.Linear(channels * 4, 10)

    def forward(self, x):
        x = F.relu(self.stem(x))
        x = self.block(x)
        return self.fc(self.pool(x).flatten(1))


def main():
    torch.manual_seed(19)
    digits = load_digits()
    x = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 8 - 1
    y = torch.tensor(digits.target)
    perm = torch.randperm(len(x))
    train, test = perm[:1300], perm[1300:]
    loader = DataLoader(TensorDataset(x[train], y[train]), batch_size=32, shuffle=True)

    model = ResNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    for epoch in range(5):
        model.train()
        losses = []
        for xb, yb in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(xb), yb)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        model.eval()
        with torch.no_grad():
            acc = (model(x[test]).argmax(1) == y[test]).float().mean().item()
        print(f"epoch {epoch + 1}: train loss {sum(losses) / len(losses):.4f}, test accuracy {acc:.4f}")


if __name__ == "__main__":
    main()
