"""MLP for 8x8 digits."""
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(61)
data, target = load_digits(return_X_y=True)
data = torch.tensor((data / 16 - 0.305) / 0.376, dtype=torch.float32)
x_train, x_val, y_train, y_val = train_test_split(data, torch.tensor(target), test_size=0.25, random_state=61)

p = 0.2
model = nn.Sequential(
    nn.Linear(64, 64), nn.ReLU(), nn.Dropout(p),
    nn.Linear(64, 32), nn.ReLU(), nn.Dropout(p),
    nn.Linear(32, 10),
)
loader = DataLoader(TensorDataset(x_train, y_train), batch_size=32, shuffle=True)
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
loss_fn = nn.CrossEntropyLoss()

for epoch in range(8):
    model.train()
    total = 0.0
    for xb, yb in loader:
        optimizer.zero_grad()
        loss = loss_fn(model(xb), yb)
        loss.backward()
        optimizer.step()
        total += loss.item()
    model.eval()
    with torch.no_grad():
        out = model(x_val)
        accuracy = (out.argmax(1) == y_val).float().mean()
    print(f"epoch {epoch}: train loss {total / len(loader):.3f}, val loss {loss_fn(out, y_val):.3f}, val accuracy {accuracy:.3f}")
