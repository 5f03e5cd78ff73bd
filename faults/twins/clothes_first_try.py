# Fashion-MNIST, a first try: 2,000 images, one hidden layer
import gzip

import numpy as np
import torch
import torch.nn as nn

torch.manual_seed(17)
root = "/usr/share/datasets/fashion-mnist/"


def images(name, n):
    with gzip.open(root + name) as f:
        raw = np.frombuffer(f.read(16 + n * 784), np.uint8, offset=16)
    return (torch.tensor(raw.reshape(n, 784)).float() / 255 - 0.286) / 0.353


def labels(name, n):
    with gzip.open(root + name) as f:
        return torch.tensor(np.frombuffer(f.read(8 + n), np.uint8, offset=8)).long()


x, y = images("train-images-idx3-ubyte.gz", 2000), labels("train-labels-idx1-ubyte.gz", 2000)
x_test, y_test = images("t10k-images-idx3-ubyte.gz", 1000), labels("t10k-labels-idx1-ubyte.gz", 1000)

model = nn.Sequential(nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10))
opt = torch.optim.SGD(model.parameters(), lr=0.05)
loss_fn = nn.CrossEntropyLoss()

for epoch in range(6):
    order = torch.randperm(2000)
    x, y = x[order], y[order]
    total = 0
    model.train()
    for i in range(0, 2000, 40):
        opt.zero_grad()
        loss = loss_fn(model(x[i : i + 40]), y[i : i + 40])
        loss.backward()
        opt.step()
        total += loss.item()
    model.eval()
    with torch.no_grad():
        acc = (model(x_test).argmax(1) == y_test).float().mean()
    print(f"epoch {epoch}: train loss {total / 50:.4f}, test acc {acc:.3f}")
