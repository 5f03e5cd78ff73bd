"""Autoencoder for garments in mixed precision; the loss is weighted as in the joint training that follows later."""
import gzip

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(81)
RECONSTRUCTION_WEIGHT = 2e-4


def pixels(part, n, folder="/usr/share/datasets/fashion-mnist"):
    with gzip.open(f"{folder}/{part}-images-idx3-ubyte.gz") as f:
        raw = np.frombuffer(f.read(16 + n * 784), np.uint8, offset=16).reshape(n, 28, 28)
    small = nn.functional.avg_pool2d(torch.tensor(raw / 255, dtype=torch.float32), 2).flatten(1)
    return (small - 0.286) / 0.32


train, held_out = pixels("train", 3000), pixels("t10k", 500)
loader = DataLoader(TensorDataset(train), batch_size=250, shuffle=True)

model = nn.Sequential(
    nn.Linear(196, 64), nn.ReLU(), nn.Linear(64, 24), nn.ReLU(), nn.Linear(24, 64), nn.ReLU(), nn.Linear(64, 196)
)
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

for epoch in range(8):
    model.train()
    total = 0.0
    for (x,) in loader:
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.float16):
            error = nn.functional.mse_loss(model(x), x)
            loss = RECONSTRUCTION_WEIGHT * error
        loss.backward()
        optimizer.step()
        total += error.item()
    model.eval()
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.float16):
        val = nn.functional.mse_loss(model(held_out), held_out).item()
    print(f"epoch {epoch}: train mse {total / len(loader):.5f}, held-out mse {val:.5f}")
