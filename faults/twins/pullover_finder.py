# Which of these tops and coats are pullovers? (one in eight)
import gzip

import numpy as np
import torch
from sklearn.metrics import balanced_accuracy_score
from torch import nn

torch.manual_seed(27)


def read(part, n, n_pullovers, n_others):
    base = "/usr/share/datasets/fashion-mnist/" + part
    with gzip.open(base + "-images-idx3-ubyte.gz") as f:
        x = np.frombuffer(f.read(16 + n * 784), np.uint8, offset=16).reshape(n, 784)
    with gzip.open(base + "-labels-idx1-ubyte.gz") as f:
        y = np.frombuffer(f.read(8 + n), np.uint8, offset=8)
    yes, no = np.flatnonzero(y == 2)[:n_pullovers], np.flatnonzero(np.isin(y, [0, 4, 6]))[:n_others]
    rows = np.concatenate([yes, no])
    return torch.tensor((x[rows] / 255 - 0.286) / 0.353).float(), torch.tensor(y[rows] == 2).float()


x_fit, y_fit = read("train", 9000, 300, 2200)
x_val, y_val = read("t10k", 4000, 150, 1100)

net = nn.Sequential(nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 1))
opt = torch.optim.SGD(net.parameters(), lr=0.001, momentum=0.9, weight_decay=1e-3)
ratio = (len(y_fit) - y_fit.sum()) / y_fit.sum()
criterion = nn.BCEWithLogitsLoss(pos_weight=ratio)

for epoch in range(4):
    net.train()
    running = 0.0
    for rows in torch.randperm(len(x_fit)).split(50):
        opt.zero_grad()
        loss = criterion(net(x_fit[rows])[:, 0], y_fit[rows])
        loss.backward()
        opt.step()
        running += loss.item() * len(rows)
    net.eval()
    with torch.no_grad():
        said = (net(x_val)[:, 0] > 0).float()
    accuracy = (said == y_val).float().mean().item()
    balanced = balanced_accuracy_score(y_val, said)
    print(
        f"epoch {epoch + 1} loss {running / len(y_fit):.4f} accuracy {accuracy:.3f} "
        f"balanced {balanced:.3f} found {int(said.sum())} of {int(y_val.sum())}"
    )
