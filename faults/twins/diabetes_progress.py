"""Progress of diabetes after a year from ten measurements."""
import torch
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split
from torch import nn

torch.manual_seed(65)
x, y = load_diabetes(return_X_y=True)
x_train, x_val, y_train, y_val = train_test_split(x, y, test_size=142, random_state=65)
x_mean, x_std, y_mean, y_std = x_train.mean(0), x_train.std(0), y_train.mean(), y_train.std()
x_train, x_val = (torch.tensor((a - x_mean) / x_std, dtype=torch.float32) for a in (x_train, x_val))
y_train, y_val = (torch.tensor((a - y_mean) / y_std, dtype=torch.float32).unsqueeze(1) for a in (y_train, y_val))

width, epochs, decay = 32, 10, 0.1
model = nn.Sequential(nn.Linear(10, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=decay)
mse = nn.MSELoss()

for epoch in range(epochs):
    model.train()
    total = 0.0
    for rows in torch.randperm(len(x_train)).split(30):
        optimizer.zero_grad()
        loss = mse(model(x_train[rows]), y_train[rows])
        loss.backward()
        optimizer.step()
        total += loss.item() * len(rows)
    model.eval()
    with torch.no_grad():
        val = mse(model(x_val), y_val).item()
    print(f"epoch {epoch:3d}  train mse {total / len(x_train):.3f}  val mse {val:.3f}")
