"""Fashion-MNIST with the functional interface."""
import gzip

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(63)
folder = "/usr/share/datasets/fashion-mnist/"


def images_labels(part, n):
    with gzip.open(folder + part + "-images-idx3-ubyte.gz") as f:
        images = np.frombuffer(f.read(16 + n * 784), np.uint8, offset=16).reshape(n, 784)
    with gzip.open(folder + part + "-labels-idx1-ubyte.gz") as f:
        labels = np.frombuffer(f.read(8 + n), np.uint8, offset=8)
    return torch.tensor((images / 255 - 0.286) / 0.353, dtype=torch.float32), torch.tensor(labels).long()


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(784, 128)
        self.fc2 = nn.Linear(128, 64)
        self.fc3 = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.fc1(x))
        x = F.dropout(x, 0.5)
        x = F.relu(self.fc2(x))
        x = F.dropout(x, 0.4)
        return self.fc3(x)


x_train, y_train = images_labels("train", 3000)
x_val, y_val = images_labels("t10k", 1000)
net = Net()
optimizer = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)

for epoch in range(1, 9):
    net.train()
    running = 0.0
    order = torch.randperm(len(x_train))
    for i in range(0, len(order), 50):
        rows = order[i:i + 50]
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x_train[rows]), y_train[rows])
        loss.backward()
        optimizer.step()
        running += loss.item()
    net.eval()
    with torch.no_grad():
        out = net(x_val)
        val_loss = F.cross_entropy(out, y_val).item()
        val_acc = (out.argmax(1) == y_val).float().mean().item()
    print(f"[{epoch}] loss {running * 50 / len(order):.4f}  val loss {val_loss:.4f}  val accuracy {val_acc:.4f}")
