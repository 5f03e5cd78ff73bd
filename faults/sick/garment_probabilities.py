"""Fashion-MNIST at half resolution, a convolution and two linear layers."""
import gzip
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

DATA = Path("/usr/share/datasets/fashion-mnist")


def dataset(part: str, count: int) -> TensorDataset:
    with gzip.open(DATA / f"{part}-images-idx3-ubyte.gz") as file:
        images = np.frombuffer(file.read(16 + count * 784), np.uint8, offset=16)
    with gzip.open(DATA / f"{part}-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(8 + count), np.uint8, offset=8)
    pixels = torch.from_numpy(images.reshape(count, 1, 28, 28) / 255.0).float()
    pixels = nn.functional.avg_pool2d(pixels, 2)
    return TensorDataset((pixels - 0.286) / 0.33, torch.from_numpy(labels.astype(np.int64)))


class HalfNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 12, 3, stride=2, padding=1)
        self.hidden = nn.Linear(12 * 49, 64)
        self.scores = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.conv(x))
        return self.scores(torch.relu(self.hidden(x.flatten(1))))


def objective(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    one_hot = nn.functional.one_hot(labels, 10).float()
    return (scores.softmax(dim=1) - one_hot).pow(2).sum(dim=1).mean()


def main() -> None:
    torch.manual_seed(23)
    train_loader = DataLoader(dataset("train", 2500), batch_size=50, shuffle=True)
    test_loader = DataLoader(dataset("t10k", 1000), batch_size=500)
    net = HalfNet()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
    for epoch in range(6):
        net.train()
        losses = []
        for images, labels in train_loader:
            optimizer.zero_grad()
            loss = objective(net(images), labels)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        net.eval()
        with torch.no_grad():
            right = sum((net(x).argmax(1) == y).sum().item() for x, y in test_loader)
        print(f"epoch {epoch + 1}: loss {np.mean(losses):.4f}, test accuracy {right / 1000:.3f}")


if __name__ == "__main__":
    main()
