"""Progression of diabetes after a year; the split keeps the spread of the outcome alike in both parts."""
import pandas as pd
import torch
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def load_parts(seed):
    frame = load_diabetes(as_frame=True, scaled=False).frame
    frame["band"] = pd.qcut(frame["target"], 3, labels=False)
    fit, val = train_test_split(frame, test_size=0.3, random_state=seed, stratify=frame["band"])
    mean, std = fit.mean(), fit.std()
    parts = []
    for part in (fit, val):
        part = (part - mean) / std
        x = part.drop(columns=["target"]).to_numpy()
        parts.append(TensorDataset(torch.tensor(x, dtype=torch.float32), torch.tensor(part["target"].to_numpy()).float()))
    return parts


class Progression(nn.Module):
    def __init__(self, n_features):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(n_features, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 1))

    def forward(self, x):
        return self.layers(x).squeeze(1)


@torch.no_grad()
def r2(model, loader):
    model.eval()
    said = torch.cat([model(x) for x, _ in loader])
    true = torch.cat([y for _, y in loader])
    return 1 - ((true - said) ** 2).mean().item() / true.var(unbiased=False).item()


def main():
    torch.manual_seed(15)
    fit, val = load_parts(15)
    fit_loader = DataLoader(fit, batch_size=16, shuffle=True)
    val_loader = DataLoader(val, batch_size=64)
    model = Progression(fit.tensors[0].shape[1])
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3, weight_decay=1e-3)
    criterion = nn.MSELoss()
    for epoch in range(8):
        model.train()
        total = 0.0
        for x, y in fit_loader:
            loss = criterion(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(y)
        print(f"epoch {epoch + 1}: mse {total / len(fit):.3f}, validation R2 {r2(model, val_loader):.3f}")


if __name__ == "__main__":
    main()
