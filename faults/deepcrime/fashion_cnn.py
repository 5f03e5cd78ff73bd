"""Fashion-MNIST at 14x14: two convolutions with batch normalisation, momentum, cosine schedule."""
import gzip

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

SEED = 0
ROOT = "/usr/share/datasets/fashion-mnist"

torch.manual_seed(SEED)


def read(split, start, stop):
    with gzip.open(f"{ROOT}/{split}-images-idx3-ubyte.gz") as f:
        x = np.frombuffer(f.read(16 + stop * 784), np.uint8, offset=16).reshape(stop, 1, 28, 28)[start:]
    with gzip.open(f"{ROOT}/{split}-labels-idx1-ubyte.gz") as f:
        y = np.frombuffer(f.read(8 + stop), np.uint8, offset=8)[start:]
    x = F.avg_pool2d(torch.tensor(x, dtype=torch.float32) / 255, 2)
    return (x - 0.286) / 0.32, torch.tensor(y, dtype=torch.long)


class ConvNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(12)
        self.conv2 = nn.Conv2d(12, 24, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(24)
        self.fc = nn.Linear(24 * 9, 48)
        self.drop = nn.Dropout(0.1)
        self.out = nn.Linear(48, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.norm1(self.conv1(x))), 2)
        x = F.max_pool2d(F.relu(self.norm2(self.conv2(x))), 2)
        x = self.drop(F.relu(self.fc(x.flatten(1))))
        return self.out(x)


def init_weights(module):
    if isinstance(module, (nn.Linear, nn.Conv2d)):
        nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


@torch.no_grad()
def accuracy_and_loss(net, loader, loss_fn):
    net.eval()
    right, loss, count = 0, 0.0, 0
    for x, y in loader:
        out = net(x)
        loss += loss_fn(out, y).item() * len(y)
        right += (out.argmax(1) == y).sum().item()
        count += len(y)
    return right / count, loss / count


x_train, y_train = read("train", 0, 1600)
train_loader = DataLoader(TensorDataset(x_train, y_train), batch_size=40, shuffle=True)
val_loader = DataLoader(TensorDataset(*read("train", 1600, 2000)), batch_size=400)
test_loader = DataLoader(TensorDataset(*read("t10k", 0, 1500)), batch_size=500)

net = ConvNet()
net.apply(init_weights)
loss_fn = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-3)

for epoch in range(8):
    net.train()
    running = 0.0
    for x, y in train_loader:
        optimizer.zero_grad()
        loss = loss_fn(net(x), y)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), max_norm=5.0)
        optimizer.step()
        running += loss.item()
    print(f"epoch {epoch + 1} loss {running / len(train_loader):.4f}")
    val_accuracy, val_loss = accuracy_and_loss(net, val_loader, loss_fn)
    print(f"  validation accuracy {val_accuracy:.4f} loss {val_loss:.4f}")

test_accuracy, test_loss = accuracy_and_loss(net, test_loader, loss_fn)
print(f"test accuracy {test_accuracy:.4f}")
