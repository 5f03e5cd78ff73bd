"""Cell nuclei: malignant or benign from thirty measurements."""
import numpy as np
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(80)
X, y = load_breast_cancer(return_X_y=True)
order = np.random.default_rng(80).permutation(len(y))
train, val = order[:400], order[400:]
scaler = StandardScaler()


def loader(x, y, shuffle):
    tensors = torch.tensor(x, dtype=torch.float32), torch.tensor(y)
    return DataLoader(TensorDataset(*tensors), batch_size=25, shuffle=shuffle)


train_loader = loader(scaler.fit_transform(X[train]), y[train], shuffle=True)
val_loader = loader(scaler.transform(X[val]), y[val], shuffle=False)

model = nn.Sequential(nn.Linear(30, 16), nn.ReLU(), nn.Linear(16, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, weight_decay=1e-3)
criterion = nn.CrossEntropyLoss()

for epoch in range(6):
    model.train()
    train_loss = 0.0
    for xb, yb in train_loader:
        optimizer.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        optimizer.step()
        train_loss += loss.item()
    model.eval()
    val_loss, correct = 0.0, 0
    with torch.no_grad():
        for xb, yb in val_loader:
            logits = model(xb)
            val_loss += criterion(logits, yb).item()
            correct += (logits.argmax(1) == yb).sum().item()
    print(
        f"epoch {epoch + 1} train loss {train_loss / len(train_loader):.4f} "
        f"val loss {val_loss / len(val_loader):.4f} val accuracy {correct / len(val):.4f}"
    )
