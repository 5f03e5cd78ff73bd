"""Miles per gallon of cars with a small network."""
import torch
from mlxtend.data import autompg_data
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(20)
X, y = autompg_data()
X = torch.tensor(X[:, :7].astype("float32"))
y = torch.tensor(y.astype("float32")).unsqueeze(1)
order = torch.randperm(len(X))
X, y = X[order], y[order]
X = (X - X[:312].mean(0)) / X[:312].std(0)
y = (y - y[:312].mean()) / y[:312].std()
train_set, test_set = TensorDataset(X[:312], y[:312]), TensorDataset(X[312:], y[312:])
train_loader = DataLoader(train_set, batch_size=24, shuffle=True)
test_loader = DataLoader(test_set, batch_size=len(test_set))

model = nn.Sequential(nn.Linear(7, 32), nn.Tanh(), nn.Linear(32, 1))
loss_fn = nn.MSELoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.6, momentum=0.8)

for epoch in range(10):
    model.train()
    total = 0.0
    for features, mpg in train_loader:
        optimizer.zero_grad()
        loss = loss_fn(model(features), mpg)
        loss.backward()
        optimizer.step()
        total += loss.item() / len(train_loader)
    model.eval()
    with torch.no_grad():
        features, mpg = next(iter(test_loader))
        r2 = 1 - loss_fn(model(features), mpg) / mpg.var(unbiased=False)
    print(f"epoch {epoch + 1:2d} train mse {total:.4g} test R2 {r2:.4g}")
