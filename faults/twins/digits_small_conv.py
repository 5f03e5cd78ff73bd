"""A small convolutional network for the 8 x 8 digits of scikit-learn."""
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class SmallConv(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 3, padding=1)
        self.conv2 = nn.Conv2d(12, 24, 3, padding=1, stride=2)
        self.fc = nn.Linear(24 * 16, 10)

    def forward(self, x):
        x = torch.relu(self.conv1(x))
        x = torch.relu(self.conv2(x))
        return self.fc(x.flatten(1))


def main():
    torch.manual_seed(25)
    digits = load_digits()
    x = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1)
    rows = torch.randperm(len(x))
    x, y = x[rows], torch.tensor(digits.target)[rows]
    x = (x - x[:1400].mean()) / x[:1400].std()
    train, test = TensorDataset(x[:1400], y[:1400]), TensorDataset(x[1400:], y[1400:])
    train_loader = DataLoader(train, batch_size=50, shuffle=True)
    test_loader = DataLoader(test, batch_size=397)
    model = SmallConv()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3, weight_decay=1e-4)
    for epoch in range(5):
        model.train()
        losses = []
        for images, labels in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(images), labels)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        model.eval()
        with torch.no_grad():
            accuracy = sum((model(images).argmax(1) == labels).float().mean().item() for images, labels in test_loader)
        print(f"epoch {epoch + 1} loss {sum(losses) / len(losses):.4f} accuracy {accuracy / len(test_loader):.4f}")


if __name__ == "__main__":
    main()
