"""A residual convolutional net on the 8 x 8 digits."""
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class ConvBlock(nn.Module):
    def __init__(self, channels, scale):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity="relu")
        nn.init.zeros_(self.conv.bias)
        self.scale = scale

    def forward(self, x):
        return x + self.scale * F.relu(self.conv(x))


class ConvTower(nn.Module):
    def __init__(self, channels=12, depth=9):
        super().__init__()
        self.stem = nn.Conv2d(1, channels, 3, stride=2, padding=1)
        self.tower = nn.Sequential(*[ConvBlock(channels, 1.0) for _ in range(depth)])
        self.head = nn.Linear(channels * 4 * 4, 10)

    def forward(self, x):
        return self.head(self.tower(self.stem(x)).flatten(1))


def main():
    torch.manual_seed(12)
    x, y = load_digits(return_X_y=True)
    x_train, x_val, y_train, y_val = train_test_split(x, y, test_size=397, random_state=12, stratify=y)
    shift, spread = x_train.mean(), x_train.std()

    def images(a):
        return torch.tensor((a - shift) / spread, dtype=torch.float32).view(-1, 1, 8, 8)

    loader = DataLoader(TensorDataset(images(x_train), torch.tensor(y_train)), batch_size=50, shuffle=True)
    x_val, y_val = images(x_val), torch.tensor(y_val)
    model = ConvTower()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-4)
    for epoch in range(5):
        model.train()
        losses = []
        for xb, yb in loader:
            loss = criterion(model(xb), yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        model.eval()
        with torch.no_grad():
            accuracy = (model(x_val).argmax(1) == y_val).float().mean().item()
        print(f"epoch {epoch}: loss {sum(losses) / len(losses):.4f}  val accuracy {accuracy:.4f}")


if __name__ == "__main__":
    main()
