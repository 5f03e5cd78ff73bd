"""A small convolutional net in the manner of AlexNet, for Fashion-MNIST."""
import gzip
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

DATA = Path("/usr/share/datasets/fashion-mnist")


def dataset(split, count):
    with gzip.open(DATA / f"{split}-images-idx3-ubyte.gz") as f:
        images = np.frombuffer(f.read(16 + count * 784), np.uint8, offset=16)
    with gzip.open(DATA / f"{split}-labels-idx1-ubyte.gz") as f:
        labels = np.frombuffer(f.read(8 + count), np.uint8, offset=8)
    images = (images.reshape(count, 1, 28, 28)[:, :, ::2, ::2] / 255.0 - 0.286) / 0.353
    return TensorDataset(torch.tensor(images, dtype=torch.float32), torch.tensor(labels).long())


class SmallAlexNet(nn.Module):
    def __init__(self, std):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(
            nn.Linear(32 * 3 * 3, 64), nn.Tanh(),
            nn.Linear(64, 10),
        )
        self.apply(lambda m: self._init(m, std))

    @staticmethod
    def _init(m, std):
        if isinstance(m, (nn.Conv2d, nn.Linear)):
            fan_in = m.weight[0].numel()
            nn.init.normal_(m.weight, std=std or (2.0 / fan_in) ** 0.5)
            nn.init.zeros_(m.bias)

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


def run(epochs=5, std=0.05):
    torch.manual_seed(6)
    train = DataLoader(dataset("train", 2000), batch_size=50, shuffle=True)
    test = DataLoader(dataset("t10k", 1000), batch_size=250)
    model = SmallAlexNet(std)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    for epoch in range(epochs):
        model.train()
        total = 0.0
        for images, labels in train:
            optimizer.zero_grad()
            loss = criterion(model(images), labels)
            loss.backward()
            optimizer.step()
            total += loss.item() / len(train)
        model.eval()
        right = 0
        with torch.no_grad():
            for images, labels in test:
                right += (model(images).argmax(1) == labels).sum().item()
        print(f"epoch {epoch + 1}  loss {total:.4f}  accuracy {right / 1000:.3f}")


if __name__ == "__main__":
    run()
