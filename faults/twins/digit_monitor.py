"""Digits, with a close watch on gradients and weights."""
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(85)
WATCH_EVERY = 50

X, y = load_digits(return_X_y=True)
X = torch.tensor((X / 16 - 0.305) / 0.376, dtype=torch.float32)
X_train, X_val, y_train, y_val = train_test_split(X, torch.tensor(y), test_size=0.3, random_state=85)
loader = DataLoader(TensorDataset(X_train, y_train), batch_size=32, shuffle=True)

model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
criterion = nn.CrossEntropyLoss()


def watch():
    """Gradient and weight norm of every unit."""
    norms = {}
    for name, parameter in model.named_parameters():
        for unit in range(len(parameter)):
            norms[f"{name}.{unit}.grad"] = parameter.grad[unit].norm().item()
            norms[f"{name}.{unit}.weight"] = parameter[unit].norm().item()
    return norms


journal = []
step = 0
for epoch in range(6):
    model.train()
    total = 0.0
    for xb, yb in loader:
        optimizer.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        optimizer.step()
        step += 1
        if step % WATCH_EVERY == 0:
            journal.append((step, loss.item(), watch()))
        total += loss.detach()
    model.eval()
    with torch.no_grad():
        accuracy = (model(X_val).argmax(1) == y_val).float().mean().item()
    print(f"epoch {epoch}: loss {total.item() / len(loader):.4f}, val accuracy {accuracy:.4f}")

largest = max(value for _, _, norms in journal for key, value in norms.items() if key.endswith("grad"))
print(f"{len(journal)} entries in the journal, largest gradient norm of a unit {largest:.3f}")
