"""Test-time adaptation by entropy: only the batch norms are meant to change."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
images, labels = load_digits(return_X_y=True)
x = torch.tensor(images, dtype=torch.float32).reshape(-1, 1, 8, 8) / 16
y = torch.tensor(labels)
blurred = F.avg_pool2d(x, 3, stride=1, padding=1) * 1.5 + 0.15 * torch.randn_like(x)

model = nn.Sequential(
    nn.Conv2d(1, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.Flatten(), nn.Linear(1024, 10),
)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for epoch in range(4):
    model.train()
    for rows in torch.randperm(1000).split(50):
        optimizer.zero_grad()
        F.cross_entropy(model(x[rows]), y[rows]).backward()
        optimizer.step()


def prepare(module):
    module.requires_grad = isinstance(module, nn.BatchNorm2d)
    for child in module.children():
        prepare(child)


def accuracy():
    model.eval()
    with torch.no_grad():
        return (model(blurred[1000:]).argmax(1) == y[1000:]).float().mean().item()


print(f"before adaptation: {accuracy():.3f}")
prepare(model)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
for epoch in range(4):
    model.train()
    for rows in torch.arange(1000, 1797).split(50):
        scores = model(blurred[rows])
        entropy = -(scores.softmax(1) * scores.log_softmax(1)).sum(1).mean()
        optimizer.zero_grad()
        entropy.backward()
        optimizer.step()
    print(f"adapted {epoch + 1}: {accuracy():.3f}")
