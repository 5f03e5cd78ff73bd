"""Disease progression from ten measurements, small MLP."""
import torch
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(77)


def score(predicted, target):
    return 1 - (((predicted - target) ** 2).mean() / target.var()).item()


x, y = load_diabetes(return_X_y=True)
x_train, x_val, y_train, y_val = train_test_split(x, y.reshape(-1, 1), test_size=120, random_state=77)
x_scaler, y_scaler = StandardScaler().fit(x_train), StandardScaler().fit(y_train)
x_train, x_val = (torch.tensor(x_scaler.transform(a), dtype=torch.float32) for a in (x_train, x_val))
y_train, y_val = (torch.tensor(y_scaler.transform(a), dtype=torch.float32) for a in (y_train, y_val))
loader = DataLoader(TensorDataset(x_train, y_train), batch_size=32, shuffle=True)

model = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 1))
loss_fn = nn.MSELoss()
optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=0.1)

for epoch in range(12):
    model.train()
    total = 0.0
    for xb, yb in loader:
        loss = loss_fn(model(xb), yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    model.eval()
    with torch.no_grad():
        val_score = score(model(x_val), y_val)
    print(f"epoch {epoch:2d}  train mse {total / len(loader):.4f}  val score {val_score:.4f}")
