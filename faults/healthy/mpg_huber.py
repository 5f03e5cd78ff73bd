"""Fuel consumption of cars: standardised target, Huber loss."""
import torch
from mlxtend.data import autompg_data
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Regressor(nn.Module):
    def __init__(self, n_in, width=24):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(n_in, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 1))

    def forward(self, x):
        return self.layers(x).squeeze(-1)


def tensors(seed):
    X, y = autompg_data()
    X, y = X[:, :7].astype(float), y.astype(float)
    X_train, X_val, y_train, y_val = train_test_split(X, y, test_size=0.25, random_state=seed)
    sx, sy = StandardScaler().fit(X_train), StandardScaler().fit(y_train[:, None])
    as_tensor = lambda a: torch.tensor(a, dtype=torch.float32)
    return (
        as_tensor(sx.transform(X_train)), as_tensor(sy.transform(y_train[:, None])[:, 0]),
        as_tensor(sx.transform(X_val)), as_tensor(y_val), sy,
    )


def main():
    torch.manual_seed(13)
    x_train, y_train, x_val, y_val, scaler = tensors(13)
    loader = DataLoader(TensorDataset(x_train, y_train), batch_size=25, shuffle=True)
    model = Regressor(x_train.shape[1])
    criterion = nn.HuberLoss(delta=1.0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0.05)
    for epoch in range(1, 13):
        model.train()
        total = 0.0
        for x, y in loader:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(y)
        model.eval()
        with torch.no_grad():
            mpg = torch.tensor(scaler.inverse_transform(model(x_val)[:, None].numpy())[:, 0])
        error = (mpg - y_val).abs().mean().item()
        r2 = 1 - ((mpg - y_val) ** 2).sum() / ((y_val - y_val.mean()) ** 2).sum()
        if epoch % 3 == 0:
            print(f"epoch {epoch}: huber {total / len(y_train):.4f}  mean error {error:.2f} mpg  R2 {r2.item():.3f}")


if __name__ == "__main__":
    main()
