"""Malignant or benign, with as many rows of the one as of the other."""
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from sklearn.utils import resample
from torch import nn


def balance(x, y, seed):
    """Draw rows of the smaller class again until both are equally many."""
    small = 0 if (y == 0).sum() < (y == 1).sum() else 1
    rows = resample((y == small).nonzero()[0], n_samples=(y != small).sum(), random_state=seed)
    keep = list((y != small).nonzero()[0]) + list(rows)
    return x[keep], y[keep]


def prepare(seed):
    x, y = load_breast_cancer(return_X_y=True)
    x, y = balance(x, y, seed)
    x_fit, x_val, y_fit, y_val = train_test_split(x, y, test_size=0.3, random_state=seed, stratify=y)
    scaler = StandardScaler().fit(x_fit)
    arrays = scaler.transform(x_fit), scaler.transform(x_val), y_fit, y_val
    return [torch.tensor(a, dtype=torch.float32) for a in arrays]


class Judge(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(30, 10)
        self.fc2 = nn.Linear(10, 1)

    def forward(self, x):
        return self.fc2(torch.relu(self.fc1(x))).squeeze(-1)


def main(seed=13):
    torch.manual_seed(seed)
    x_fit, x_val, y_fit, y_val = prepare(seed)
    model = Judge()
    optimizer = torch.optim.RMSprop(model.parameters(), lr=3e-3, weight_decay=1e-3)
    criterion = nn.BCEWithLogitsLoss()
    for epoch in range(6):
        model.train()
        total = 0.0
        for rows in torch.randperm(len(x_fit)).split(25):
            optimizer.zero_grad()
            loss = criterion(model(x_fit[rows]), y_fit[rows])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        model.eval()
        with torch.no_grad():
            logits = model(x_val)
            val_loss = criterion(logits, y_val).item()
            accuracy = ((logits > 0) == (y_val > 0.5)).float().mean().item()
        print(f"epoch {epoch + 1} loss {total / len(x_fit):.4f} val {val_loss:.4f} accuracy {accuracy:.4f}")


if __name__ == "__main__":
    main()
