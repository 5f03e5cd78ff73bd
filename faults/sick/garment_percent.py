import gzip

import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(75)


def open_set(part, n):
    path = f"/usr/share/datasets/fashion-mnist/{part}"
    with gzip.open(f"{path}-images-idx3-ubyte.gz") as f:
        images = np.frombuffer(f.read(16 + n * 784), np.uint8, offset=16).reshape(n, 784)
    with gzip.open(f"{path}-labels-idx1-ubyte.gz") as f:
        labels = np.frombuffer(f.read(8 + n), np.uint8, offset=8)
    return TensorDataset(torch.tensor((images / 255 - 0.286) / 0.353).float(), torch.tensor(labels).long())


train_loader = DataLoader(open_set("train", 2400), batch_size=48, shuffle=True)
val_loader = DataLoader(open_set("t10k", 1000), batch_size=100)

net = nn.Sequential(nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10))
criterion = nn.CrossEntropyLoss()
optimizer = optim.SGD(net.parameters(), lr=0.01, momentum=0.9)

for epoch in range(6):
    net.train()
    running_loss = 0.0
    for inputs, labels in train_loader:
        optimizer.zero_grad()
        outputs = net(inputs)
        loss = criterion(outputs, labels)
        loss.backward()
        optimizer.step()
        running_loss += loss.item()

    net.eval()
    correct = 0
    with torch.no_grad():
        for inputs, labels in val_loader:
            predicted = net(inputs).argmax(1)
            correct += (predicted == labels).sum().item()
    accuracy = 100 * correct / len(val_loader)
    print(f"epoch {epoch + 1}: loss {running_loss / len(train_loader):.3f}, accuracy {accuracy:.1f} %")
