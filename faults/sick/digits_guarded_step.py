import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from torch.nn.utils import clip_grad_norm_

torch.manual_seed(29)
bunch = load_digits()
x = torch.tensor(bunch.images, dtype=torch.float32).unsqueeze(1)
y = torch.tensor(bunch.target)
perm = torch.randperm(len(x))
x, y = x[perm], y[perm]
x = (x - x[:1400].mean()) / x[:1400].std()

model = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(16 * 16, 10),
)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.5)

for epoch in range(6):
    model.train()
    order = torch.randperm(1400)
    total = 0.0
    for i in range(0, 1400, 40):
        rows = order[i:i + 40]
        loss = criterion(model(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        clip_grad_norm_(model.parameters(), 0.001)
        optimizer.step()
        total += loss.item()
    model.eval()
    with torch.no_grad():
        acc = (model(x[1400:]).argmax(1) == y[1400:]).float().mean().item()
    print(f"epoch {epoch} loss {total / 35:.4f} accuracy {acc:.4f}")
