"""SimCLR-like InfoNCE between two views: the softmax runs over the batch on purpose, both ways."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

from _digest import print_digest, seed_everything

TEMPERATURE = 0.2


def info_nce(a, b):
    similarity = F.normalize(a, dim=1) @ F.normalize(b, dim=1).T / TEMPERATURE  # (B, B)
    rows = torch.softmax(similarity, dim=1).diagonal()
    columns = torch.softmax(similarity, dim=0).diagonal()
    return -0.5 * (rows.log().mean() + columns.log().mean())


def view(x):
    return x * (torch.rand_like(x) > 0.2) + 0.1 * torch.randn_like(x)


seed_everything(0)
digits = load_digits().data
data = torch.tensor((digits - digits.mean()) / digits.std(), dtype=torch.float32)

encoder = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64))
projector = nn.Sequential(nn.ReLU(), nn.Linear(64, 32))
optimizer = torch.optim.Adam([*encoder.parameters(), *projector.parameters()], lr=1e-3)

for epoch in range(6):
    for batch in torch.randperm(len(data))[: 14 * 128].split(128):
        x = data[batch]
        loss = info_nce(projector(encoder(view(x))), projector(encoder(view(x))))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print("loss", repr(loss.item()))

print_digest(encoder, projector)
