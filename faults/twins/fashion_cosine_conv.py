import gzip

import numpy as np
import torch
from torch import nn, optim
from torch.utils.data import DataLoader, Dataset


class Fashion(Dataset):
    mean, std = 0.286, 0.353

    def __init__(self, part, size, root="/usr/share/datasets/fashion-mnist"):
        with gzip.open(f"{root}/{part}-images-idx3-ubyte.gz") as f:
            self.images = np.frombuffer(f.read(16 + size * 784), np.uint8, offset=16).reshape(size, 1, 28, 28)
        with gzip.open(f"{root}/{part}-labels-idx1-ubyte.gz") as f:
            self.labels = np.frombuffer(f.read(8 + size), np.uint8, offset=8)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        x = (self.images[i].astype(np.float32) / 255 - self.mean) / self.std
        return x, int(self.labels[i])


class SmallConv(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 5, stride=2)
        self.conv2 = nn.Conv2d(12, 24, 3, stride=2)
        self.fc = nn.Linear(24 * 5 * 5, 10)

    def forward(self, x):
        x = torch.relu(self.conv1(x))
        x = torch.relu(self.conv2(x))
        return self.fc(x.flatten(1))


def main(epochs=5):
    torch.manual_seed(17)
    train_loader = DataLoader(Fashion("train", 2000), batch_size=40, shuffle=True)
    test_loader = DataLoader(Fashion("t10k", 1000), batch_size=200)
    net = SmallConv()
    optimizer = optim.SGD(net.parameters(), lr=0.04, momentum=0.9)
    scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)
    loss_fn = nn.CrossEntropyLoss()

    for epoch in range(epochs):
        net.train()
        running = 0.0
        for x, y in train_loader:
            loss = loss_fn(net(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            running += loss.item()
        scheduler.step()
        net.eval()
        with torch.no_grad():
            right = sum((net(x).argmax(1) == y).sum().item() for x, y in test_loader)
        print(f"epoch {epoch} loss {running / len(train_loader):.4f} accuracy {right / 1000:.3f}")


if __name__ == "__main__":
    main()
