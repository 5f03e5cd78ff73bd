# miles per gallon from cylinders, displacement, horsepower, weight, ...
import numpy as np
import torch
import torch.nn.functional as F
from mlxtend.data import autompg_data
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(13)

X, mpg = autompg_data()
X = X[:, :7]  # the last column is the name of the car
shuffle = np.random.default_rng(13).permutation(len(X))
X, mpg = X[shuffle], mpg[shuffle]

split = 310
X = (X - X[:split].mean(0)) / X[:split].std(0)
mpg = (mpg - mpg[:split].mean()) / mpg[:split].std()
X = torch.tensor(X, dtype=torch.float32)
mpg = torch.tensor(mpg, dtype=torch.float32).unsqueeze(1)

train_loader = DataLoader(TensorDataset(X[:split], mpg[:split]), batch_size=31, shuffle=True)
X_val, mpg_val = X[split:], mpg[split:]

model = torch.nn.Sequential(
    torch.nn.Linear(X.shape[1], 24),
    torch.nn.Tanh(),
    torch.nn.Linear(24, 1),
)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)

for epoch in range(20):
    model.train()
    train_loss = 0.0
    for xb, yb in train_loader:
        optimizer.zero_grad()
        loss = F.mse_loss(model(xb), yb, reduction="sum")
        loss.backward()
        optimizer.step()
        train_loss += loss.item() / len(train_loader)
    model.eval()
    with torch.no_grad():
        val_mse = F.mse_loss(model(X_val), mpg_val)
        val_r2 = 1 - val_mse / mpg_val.var(unbiased=False)
    print(f"{epoch + 1:3d}/20  train {train_loss:.4f}  val mse {val_mse:.4f}  val R2 {val_r2:.4f}")
