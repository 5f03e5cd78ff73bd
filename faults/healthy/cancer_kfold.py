"""Five-fold cross-validation of a small network on the breast cancer table."""
import numpy as np
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler
from torch import nn


def train_fold(x, y, seed, epochs=8, batch=32):
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(x.shape[1], 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(net.parameters(), lr=5e-3, weight_decay=1e-3)
    criterion = nn.BCEWithLogitsLoss()
    history = []
    for _ in range(epochs):
        net.train()
        epoch_loss = 0.0
        for rows in torch.randperm(len(x)).split(batch):
            optimizer.zero_grad()
            loss = criterion(net(x[rows]).squeeze(1), y[rows])
            loss.backward()
            optimizer.step()
            epoch_loss += loss.item() * len(rows)
        history.append(epoch_loss / len(x))
    return net, history


def main():
    X, y = load_breast_cancer(return_X_y=True)
    scores = []
    for fold, (train, test) in enumerate(StratifiedKFold(5, shuffle=True, random_state=0).split(X, y)):
        scaler = StandardScaler().fit(X[train])
        x_train = torch.tensor(scaler.transform(X[train]), dtype=torch.float32)
        x_test = torch.tensor(scaler.transform(X[test]), dtype=torch.float32)
        net, history = train_fold(x_train, torch.tensor(y[train], dtype=torch.float32), seed=fold)
        net.eval()
        with torch.no_grad():
            logits = net(x_test).squeeze(1).numpy()
        accuracy, auc = ((logits > 0) == y[test]).mean(), roc_auc_score(y[test], logits)
        scores.append(accuracy)
        print(f"fold {fold + 1}: loss {history[0]:.3f} -> {history[-1]:.3f}, accuracy {accuracy:.3f}, AUC {auc:.3f}")
    print(f"accuracy {np.mean(scores):.3f} +- {np.std(scores):.3f}")


if __name__ == "__main__":
    main()
