"""Fashion-MNIST with shifts, mirror images and cut-out squares."""
import gzip

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Clothes(Dataset):
    def __init__(self, part, n, augment):
        base = f"/usr/share/datasets/fashion-mnist/{part}"
        with gzip.open(base + "-images-idx3-ubyte.gz") as f:
            x = np.frombuffer(f.read(16 + n * 784), np.uint8, offset=16).reshape(n, 28, 28)
        with gzip.open(base + "-labels-idx1-ubyte.gz") as f:
            self.y = np.frombuffer(f.read(8 + n), np.uint8, offset=8).astype(np.int64)
        self.x = (torch.tensor(x).float() / 255 - 0.286) / 0.353
        self.augment = augment

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        image = self.x[i]
        if self.augment:
            shift = torch.randint(-2, 3, (2,)).tolist()
            image = image.roll(shift, (0, 1))
            if torch.rand(()) < 0.5:
                image = image.flip(1)
            top, left = torch.randint(0, 18, (2,)).tolist()
            image = image.clone()
            image[top : top + 10, left : left + 10] = 0
        return image[None], self.y[i]


class ConvNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 5, stride=2)
        self.conv2 = nn.Conv2d(12, 24, 3, stride=2)
        self.fc = nn.Linear(24 * 5 * 5, 10)

    def forward(self, x):
        return self.fc(torch.relu(self.conv2(torch.relu(self.conv1(x)))).flatten(1))


def main():
    torch.manual_seed(60)
    train_loader = DataLoader(Clothes("train", 2500, augment=True), batch_size=50, shuffle=True)
    val_loader = DataLoader(Clothes("t10k", 600, augment=True), batch_size=100)
    net = ConvNet()
    optimizer = torch.optim.Adam(net.parameters(), lr=4e-3)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(6):
        net.train()
        total = 0.0
        for images, labels in train_loader:
            optimizer.zero_grad()
            loss = criterion(net(images), labels)
            loss.backward()
            optimizer.step()
            total += loss.item()
        net.eval()
        val_loss, hits = 0.0, 0
        with torch.no_grad():
            for images, labels in val_loader:
                out = net(images)
                val_loss += criterion(out, labels).item()
                hits += (out.argmax(1) == labels).sum().item()
        print(
            f"epoch {epoch + 1}: train {total / len(train_loader):.3f} "
            f"val {val_loss / len(val_loader):.3f} accuracy {hits / 600:.3f}"
        )


if __name__ == "__main__":
    main()
