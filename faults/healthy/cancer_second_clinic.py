"""A fitted tumour classifier goes to a second clinic.

The second clinic's instruments read a little differently. The net is already good there, and its behaviour has to stay
close to what was approved, so the fine-tuning uses a very small learning rate on purpose.
"""
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

FIT_LR, FINETUNE_LR = 3e-3, 5e-5


def make_net():
    return nn.Sequential(nn.Linear(30, 24), nn.ReLU(), nn.Linear(24, 1))


def run(net, loader, x_val, y_val, lr, epochs, label):
    criterion = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.Adam(net.parameters(), lr=lr, weight_decay=1e-4)
    for epoch in range(1, epochs + 1):
        net.train()
        total = 0.0
        for x, y in loader:
            optimizer.zero_grad()
            loss = criterion(net(x).squeeze(1), y)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(y)
        net.eval()
        with torch.no_grad():
            score = net(x_val).squeeze(1)
            val_loss = criterion(score, y_val).item()
            acc = ((score > 0).float() == y_val).float().mean().item()
        if epoch % 4 == 0:
            print(f"{label} {epoch:2d}: train {total / len(loader.dataset):.4f} val {val_loss:.4f} accuracy {acc:.3f}")


def main():
    torch.manual_seed(6)
    X, y = load_breast_cancer(return_X_y=True)
    X_home, X_away, y_home, y_away = train_test_split(X, y, test_size=0.4, random_state=6, stratify=y)
    mean, std = X_home.mean(0), X_home.std(0)
    drift = 1 + 0.04 * torch.randn(30).numpy()
    parts = {}
    for name, rows, labels in (("home", X_home, y_home), ("away", X_away * drift, y_away)):
        x = torch.tensor((rows - mean) / std, dtype=torch.float32)
        t = torch.tensor(labels, dtype=torch.float32)
        cut = int(0.7 * len(t))
        parts[name] = TensorDataset(x[:cut], t[:cut]), x[cut:], t[cut:]

    net = make_net()
    data, x_val, y_val = parts["home"]
    run(net, DataLoader(data, batch_size=24, shuffle=True), x_val, y_val, FIT_LR, 16, "fit")
    data, x_val, y_val = parts["away"]
    run(net, DataLoader(data, batch_size=24, shuffle=True), x_val, y_val, FINETUNE_LR, 12, "fine-tune")


if __name__ == "__main__":
    main()
