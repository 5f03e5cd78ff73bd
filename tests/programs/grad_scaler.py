"""Mixed precision on the CPU: autocast, GradScaler, clipping after unscale_. Argument: bf16 (default) or fp16."""

import sys

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from _digest import print_digest, seed_everything

dtype = torch.float16 if "fp16" in sys.argv[1:] else torch.bfloat16

seed_everything(0)
images, labels = load_digits(return_X_y=True)
x = torch.tensor((images - images.mean()) / images.std(), dtype=torch.float32)
loader = DataLoader(TensorDataset(x, torch.tensor(labels)), batch_size=64, shuffle=True)

model = nn.Sequential(
    nn.Linear(64, 128), nn.LayerNorm(128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10)
)
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
scaler = torch.amp.GradScaler("cpu")

for epoch in range(3):
    for x, y in loader:
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=dtype):
            loss = F.cross_entropy(model(x), y)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
        scaler.step(optimizer)
        scaler.update()
        print("loss", repr(loss.item()))

print("scale", repr(scaler.get_scale()))
print_digest(model)
