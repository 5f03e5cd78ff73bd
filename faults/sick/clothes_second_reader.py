import gzip

import numpy as np
import torch
from torch import nn

BASE = "/usr/share/datasets/fashion-mnist/"
rng = np.random.default_rng(44)
torch.manual_seed(44)


def read(part, n):
    with gzip.open(BASE + part + "-images-idx3-ubyte.gz") as f:
        x = np.frombuffer(f.read(16 + n * 784), np.uint8, offset=16).reshape(n, 784)
    with gzip.open(BASE + part + "-labels-idx1-ubyte.gz") as f:
        y = np.frombuffer(f.read(8 + n), np.uint8, offset=8)
    return torch.tensor(x / 255.0, dtype=torch.float32).sub(0.286).div(0.353), y.astype(np.int64)


x, truth = read("train", 3000)
x_test, y_test = read("t10k", 1000)
y_test = torch.tensor(y_test)

# a second reader labelled 1,000 of the images and handed them in by ascending number
second_rows = rng.choice(3000, 1000, replace=False)
second_labels = truth[np.sort(second_rows)]
y = np.full(3000, -1)
first_rows = np.setdiff1d(np.arange(3000), second_rows)
y[first_rows] = truth[first_rows]
y[second_rows] = second_labels
y = torch.tensor(y)

hidden = nn.Linear(784, 80)
readout = nn.Linear(80, 10)
model = nn.Sequential(hidden, nn.ReLU(), nn.Dropout(0.2), readout)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-4)

for epoch in range(7):
    model.train()
    order, total = torch.randperm(3000), 0.0
    for rows in order.split(50):
        loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        total += loss.item()
    model.eval()
    with torch.inference_mode():
        test = (model(x_test).argmax(1) == y_test).float().mean().item()
    print(f"epoch {epoch}  train loss {total / 60:.3f}  test accuracy {test:.3f}")
