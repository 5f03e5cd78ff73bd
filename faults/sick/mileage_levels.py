"""Miles per gallon of old cars from cylinders, weight, horsepower and the like."""
import torch
import torch.nn.functional as F
from mlxtend.data import autompg_data
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

LEVELS = torch.linspace(-2.0, 3.1, 35)


def level(y):
    """The nearest of the levels."""
    return (y.unsqueeze(1) - LEVELS).abs().argmin(dim=1)


class Mileage(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(7, 40)
        self.out = nn.Linear(40, len(LEVELS))

    def forward(self, x):
        return self.out(torch.tanh(self.hidden(x)))


torch.manual_seed(6)
X, Y = (torch.tensor(a, dtype=torch.float32) for a in autompg_data())
X = X[:, :7]
perm = torch.randperm(len(Y))
train, test = perm[:300], perm[300:]
X = (X - X[train].mean(dim=0)) / X[train].std(dim=0)
Y = (Y - Y[train].mean()) / Y[train].std()
loader = DataLoader(TensorDataset(X[train], Y[train]), batch_size=15, shuffle=True)
x_test, y_test = X[test], Y[test]

model = Mileage()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.01)
for epoch in range(15):
    model.train()
    running = 0.0
    for xb, yb in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(xb), level(yb))
        loss.backward()
        optimizer.step()
        running += loss.item() * len(xb)
    model.eval()
    with torch.no_grad():
        pred = LEVELS[model(x_test).argmax(1)]
    r2 = 1 - F.mse_loss(pred, y_test) / y_test.var(unbiased=False)
    print(f"epoch {epoch + 1:2d} loss {running / len(train):.4f} test R2 {r2.item():.4f}")
