"""Shirts, trousers and shoes: contrast is stretched before the network sees a picture."""
import gzip
import os

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

ROOT = "/usr/share/datasets/fashion-mnist"
BATCH = 50


def read_images(name, n):
    with gzip.open(os.path.join(ROOT, name)) as f:
        return np.frombuffer(f.read(16 + n * 784), dtype=np.uint8, offset=16).reshape(n, 784)


def read_labels(name, n):
    with gzip.open(os.path.join(ROOT, name)) as f:
        return torch.tensor(np.frombuffer(f.read(8 + n), dtype=np.uint8, offset=8).copy()).long()


def stretch(images):
    images = images.astype(np.float32)
    """Five times the distance of each pixel from the grey level 73, brought to about unit size."""
    stretched = (images - 73) * 5
    return torch.tensor(stretched / 450.0, dtype=torch.float32)


torch.manual_seed(31)
x_train = stretch(read_images("train-images-idx3-ubyte.gz", 3000))
y_train = read_labels("train-labels-idx1-ubyte.gz", 3000)
x_test = stretch(read_images("t10k-images-idx3-ubyte.gz", 1000))
y_test = read_labels("t10k-labels-idx1-ubyte.gz", 1000)

model = nn.Sequential(nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=5e-4)

for epoch in range(6):
    model.train()
    perm = torch.randperm(len(x_train))
    total = 0.0
    for i in range(0, len(perm), BATCH):
        rows = perm[i:i + BATCH]
        loss = F.cross_entropy(model(x_train[rows]), y_train[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(rows)
    model.eval()
    with torch.no_grad():
        hits = (model(x_test).argmax(dim=1) == y_test).float().mean().item()
    print("epoch %d  loss %.4f  test accuracy %.3f" % (epoch + 1, total / len(perm), hits))
