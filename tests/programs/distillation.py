"""Distillation: a wide teacher under no_grad, KL between softened softmax outputs plus cross-entropy."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from _digest import print_digest, seed_everything
from _pretrained import pretrained_mlp

T, ALPHA = 3.0, 0.7

seed_everything(0)
x, y = load_digits(return_X_y=True)
x = (x - x.mean()) / x.std()
teacher = pretrained_mlp(x, y, hidden=(128, 64), epochs=20)
teacher.eval()
student = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
optimizer = torch.optim.AdamW(student.parameters(), lr=5e-3)

loader = DataLoader(TensorDataset(torch.tensor(x, dtype=torch.float32), torch.tensor(y)), batch_size=64, shuffle=True)
for epoch in range(4):
    for inputs, targets in loader:
        with torch.no_grad():
            wisdom = F.softmax(teacher(inputs) / T, dim=1)
        logits = student(inputs)
        soft = F.kl_div(F.log_softmax(logits / T, dim=1), wisdom, reduction="batchmean") * T * T
        hard = F.cross_entropy(logits, targets)
        loss = ALPHA * soft + (1 - ALPHA) * hard
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print("loss", repr(loss.item()))

print_digest(student, teacher)
