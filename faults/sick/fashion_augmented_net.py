"""Fashion-MNIST: a small convnet trained on randomly moved, turned and resized garments."""
import gzip
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

FOLDER = "/usr/share/datasets/fashion-mnist/"


def read(part, n):
    pixels = gzip.open(FOLDER + part + "-images-idx3-ubyte.gz").read(16 + n * 784)
    labels = gzip.open(FOLDER + part + "-labels-idx1-ubyte.gz").read(8 + n)
    x = np.frombuffer(pixels, np.uint8, offset=16).reshape(n, 1, 28, 28)
    y = np.frombuffer(labels, np.uint8, offset=8)
    return (torch.tensor(x).float() / 255 - 0.286) / 0.353, torch.tensor(y).long()


class RandomAffine(nn.Module):
    """Turns by up to `degrees`, moves by up to `shift` of the picture, resizes by up to `scale`."""

    def __init__(self, degrees, shift, scale):
        super().__init__()
        self.angle = math.radians(degrees)
        self.shift = 2 * shift
        self.scale = scale

    def forward(self, x):
        n = len(x)
        angle = (torch.rand(n) * 2 - 1) * self.angle
        zoom = 1 + (torch.rand(n) * 2 - 1) * self.scale
        move = (torch.rand(n, 2) * 2 - 1) * self.shift
        cos, sin = zoom * torch.cos(angle), zoom * torch.sin(angle)
        theta = torch.stack([cos, -sin, move[:, 0], sin, cos, move[:, 1]], dim=1).view(n, 2, 3)
        grid = F.affine_grid(theta, list(x.shape), align_corners=False)
        return F.grid_sample(x, grid, padding_mode="border", align_corners=False)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(8, 16, 3, stride=2, padding=1)
        self.fc1 = nn.Linear(16 * 7 * 7, 64)
        self.fc2 = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


def main():
    torch.manual_seed(11)
    train_loader = DataLoader(TensorDataset(*read("train", 2500)), batch_size=50, shuffle=True)
    x_test, y_test = read("t10k", 1000)

    augment = RandomAffine(degrees=180, shift=0.6, scale=0.9)
    net = Net()
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)

    for epoch in range(1, 6):
        net.train()
        total = 0.0
        for x, y in train_loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(net(augment(x)), y)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(y)
        net.eval()
        with torch.no_grad():
            acc = (net(x_test).argmax(dim=1) == y_test).float().mean().item()
        print(f"epoch {epoch}: loss {total / 2500:.4f}, test accuracy {acc:.3f}")


if __name__ == "__main__":
    main()
