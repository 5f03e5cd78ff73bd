import gzip

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

CLASSES = "t-shirt trouser pullover dress coat sandal shirt sneaker bag boot".split()


def read(part, n):
    base = f"/usr/share/datasets/fashion-mnist/{part}"
    with gzip.open(base + "-images-idx3-ubyte.gz") as f:
        x = np.frombuffer(f.read(16 + n * 784), np.uint8, offset=16).reshape(n, 1, 28, 28)
    with gzip.open(base + "-labels-idx1-ubyte.gz") as f:
        y = np.frombuffer(f.read(8 + n), np.uint8, offset=8)
    return TensorDataset((torch.tensor(x).float() / 255 - 0.286) / 0.353, torch.tensor(y).long())


class ConvNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.block1 = nn.Sequential(nn.Conv2d(1, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU())
        self.block2 = nn.Sequential(nn.Conv2d(8, 16, 3, stride=2), nn.BatchNorm2d(16), nn.ReLU())
        self.fc = nn.Linear(16 * 6 * 6, 10)

    def forward(self, x):
        return self.fc(self.block2(self.block1(x)).flatten(1))


@torch.no_grad()
def evaluate(model, loader):
    right, count = torch.zeros(10), torch.zeros(10)
    for x, y in loader:
        hit = (model(x).argmax(1) == y).float()
        right.index_add_(0, y, hit)
        count.index_add_(0, y, torch.ones_like(hit))
    return right / count, (right.sum() / count.sum()).item()


def main():
    torch.manual_seed(14)
    train_loader = DataLoader(read("train", 2000), batch_size=50, shuffle=True)
    test_loader = DataLoader(read("t10k", 800), batch_size=1)
    model = ConvNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(4):
        model.train()
        total = 0.0
        for x, y in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            total += loss.item()
        per_class, overall = evaluate(model, test_loader)
        hardest = CLASSES[int(per_class.argmin())]
        print(f"epoch {epoch + 1}: loss {total / len(train_loader):.3f}, hardest {hardest}, accuracy {overall:.3f}")


if __name__ == "__main__":
    main()
