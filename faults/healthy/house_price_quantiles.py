"""Ten, fifty and ninety per cent quantiles of house prices from one network (pinball loss)."""
import torch
from mlxtend.data import boston_housing_data
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

QUANTILES = torch.tensor([0.1, 0.5, 0.9])


class QuantileNet(nn.Module):
    """The median, and the distances down and up from it, so that the quantiles cannot cross."""

    def __init__(self, n_in, width=20):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(n_in, width), nn.Tanh(), nn.Dropout(0.1))
        self.head = nn.Linear(width, 3)

    def forward(self, x):
        middle, down, up = self.head(self.body(x)).unbind(1)
        spread = nn.functional.softplus
        return torch.stack([middle - spread(down), middle, middle + spread(up)], dim=1)


def pinball(pred, y):
    error = y[:, None] - pred
    return torch.maximum(QUANTILES * error, (QUANTILES - 1) * error).mean()


torch.manual_seed(33)
X, y = boston_housing_data()
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, random_state=33)
x_mean, x_std = X_train.mean(0), X_train.std(0)
y_mean, y_std = y_train.mean(), y_train.std()
to = lambda a: torch.tensor(a, dtype=torch.float32)
x_train, x_test = to((X_train - x_mean) / x_std), to((X_test - x_mean) / x_std)
t_train, t_test = to((y_train - y_mean) / y_std), to((y_test - y_mean) / y_std)

loader = DataLoader(TensorDataset(x_train, t_train), batch_size=32, shuffle=True)
model = QuantileNet(x_train.shape[1])
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2, weight_decay=1e-3)
flat = pinball(torch.quantile(t_train, QUANTILES).expand(len(t_test), 3), t_test)
print(f"constant quantiles: {flat:.4f}")
for epoch in range(1, 31):
    model.train()
    total = 0.0
    for x, t in loader:
        optimizer.zero_grad()
        loss = pinball(model(x), t)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(t)
    if epoch % 5 == 0:
        model.eval()
        with torch.no_grad():
            pred = model(x_test)
        below = (t_test[:, None] < pred).float().mean(0)
        print(f"epoch {epoch}: train {total / len(t_train):.4f} test {pinball(pred, t_test):.4f} below: {[round(v, 2) for v in below.tolist()]}")
