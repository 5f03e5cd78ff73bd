"""Digits with a residual layer."""
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class SkipNet(nn.Module):
    def __init__(self, inputs=64, width=48, classes=10):
        super().__init__()
        self.stem = nn.Linear(inputs, width)
        self.inner = nn.Linear(width, width)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        skip = torch.relu(self.stem(x))
        out = torch.relu(self.inner(skip))
        out += skip
        return self.head(out)


torch.manual_seed(67)
X, y = load_digits(return_X_y=True)
X = torch.tensor((X / 16 - 0.305) / 0.376, dtype=torch.float32)
X_train, X_val, y_train, y_val = train_test_split(X, torch.tensor(y), test_size=0.3, random_state=67)
loader = DataLoader(TensorDataset(X_train, y_train), batch_size=32, shuffle=True)

model = SkipNet()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
criterion = nn.CrossEntropyLoss()

for epoch in range(8):
    model.train()
    total = 0.0
    for xb, yb in loader:
        optimizer.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        optimizer.step()
        total += loss.item()
    model.eval()
    with torch.no_grad():
        acc = (model(X_val).argmax(1) == y_val).float().mean().item()
    print(f"epoch {epoch}: loss {total / len(loader):.4f}, val accuracy {acc:.4f}")
