import gzip

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(27)
folder = "/usr/share/datasets/fashion-mnist/"


def images_and_labels(split, n):
    with gzip.open(folder + split + "-images-idx3-ubyte.gz") as f:
        x = np.frombuffer(f.read(16 + n * 784), np.uint8, offset=16).reshape(n, 28, 28)
    with gzip.open(folder + split + "-labels-idx1-ubyte.gz") as f:
        y = np.frombuffer(f.read(8 + n), np.uint8, offset=8)
    x = (torch.tensor(x, dtype=torch.float32) / 255 - 0.286) / 0.353
    return F.avg_pool2d(x.unsqueeze(1), 2).flatten(1), torch.tensor(y).long()


x_train, y_train = images_and_labels("train", 3000)
x_test, y_test = images_and_labels("t10k", 1000)

model = nn.Sequential(nn.Linear(196, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3, betas=(0.9, 0.999))

for epoch in range(1, 6):
    model.train()
    total = 0.0
    perm = torch.randperm(3000)
    for start in range(0, 3000, 60):
        rows = perm[start:start + 60]
        loss = F.cross_entropy(model(x_train[rows]), y_train[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() / 50
    model.eval()
    with torch.no_grad():
        logits = model(x_test)
        test_loss = F.cross_entropy(logits, y_test).item()
        accuracy = (logits.argmax(1) == y_test).float().mean().item()
    print(f"epoch {epoch} loss {total:.4f} test loss {test_loss:.4f} test accuracy {accuracy:.3f}")
