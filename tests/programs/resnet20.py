"""CIFAR-style ResNet-20 (option A shortcuts, BatchNorm) for a few steps on digits blown up to 3x32x32."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

from _digest import print_digest, seed_everything


class Shortcut(nn.Module):
    """Option A: take every second pixel, pad the missing channels with zeros; no parameters."""

    def __init__(self, extra):
        super().__init__()
        self.extra = extra

    def forward(self, x):
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.extra // 2, self.extra - self.extra // 2))


class BasicBlock(nn.Module):
    def __init__(self, in_planes, planes, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(in_planes, planes, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.shortcut = Shortcut(planes - in_planes) if stride != 1 else nn.Identity()

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        return F.relu(out)


class ResNet20(nn.Module):
    def __init__(self, num_classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = self.stage(16, 16, 1)
        self.layer2 = self.stage(16, 32, 2)
        self.layer3 = self.stage(32, 64, 2)
        self.linear = nn.Linear(64, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def stage(self, in_planes, planes, stride):
        strides = [stride, 1, 1]
        return nn.Sequential(*[BasicBlock(in_planes if i == 0 else planes, planes, s) for i, s in enumerate(strides)])

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.layer3(self.layer2(self.layer1(out)))
        return self.linear(out.mean(dim=(2, 3)))


def main():
    seed_everything(0)
    digits = load_digits()
    gray = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
    tint = 0.5 + 0.5 * torch.rand(len(gray), 3, 1, 1)
    images = F.interpolate(gray, size=32, mode="bilinear") * tint
    images = (images - images.mean(dim=(0, 2, 3), keepdim=True)) / images.std(dim=(0, 2, 3), keepdim=True)
    labels = torch.tensor(digits.target)

    model = ResNet20()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    order = torch.randperm(len(images))
    for batch in order.split(16)[:30]:
        loss = F.cross_entropy(model(images[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print("loss", repr(loss.item()))
    print_digest(model)


if __name__ == "__main__":
    main()
