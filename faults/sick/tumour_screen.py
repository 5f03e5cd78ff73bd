# Wisconsin breast cancer: malignant (1) against benign (0)
import torch
import torch.nn as nn
import torch.optim as optim
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch.utils.data import DataLoader, TensorDataset

SEED = 11
EPOCHS = 12
BATCH = 32

torch.manual_seed(SEED)

data = load_breast_cancer()
labels = 1 - data.target
x_tr, x_va, y_tr, y_va = train_test_split(data.data, labels, test_size=0.3, random_state=SEED, stratify=labels)
scaler = StandardScaler().fit(x_tr)
x_tr = torch.tensor(scaler.transform(x_tr), dtype=torch.float32)
x_va = torch.tensor(scaler.transform(x_va), dtype=torch.float32)
y_tr = torch.tensor(y_tr, dtype=torch.float32)
y_va = torch.tensor(y_va, dtype=torch.float32)


class Screener(nn.Module):
    def __init__(self, n_in):
        super().__init__()
        self.layer1 = nn.Linear(n_in, 24)
        self.layer2 = nn.Linear(24, 12)
        self.head = nn.Linear(12, 1)
        self.act = nn.ReLU()

    def forward(self, x):
        h = self.act(self.layer1(x))
        h = self.act(self.layer2(h))
        z = self.head(h).squeeze(1)
        return torch.sigmoid(z)


model = Screener(x_tr.shape[1])
criterion = nn.BCEWithLogitsLoss()
opt = optim.SGD(model.parameters(), lr=0.05)
loader = DataLoader(TensorDataset(x_tr, y_tr), batch_size=BATCH, shuffle=True)

for epoch in range(1, EPOCHS + 1):
    model.train()
    loss_sum = 0.0
    for xb, yb in loader:
        opt.zero_grad()
        out = model(xb)
        loss = criterion(out, yb)
        loss.backward()
        opt.step()
        loss_sum += loss.item() * xb.size(0)

    model.eval()
    with torch.no_grad():
        val_out = model(x_va)
        val_loss = criterion(val_out, y_va).item()
        hits = ((val_out > 0.0).float() == y_va).float().mean().item()
    print(f"epoch {epoch}: train loss {loss_sum / len(x_tr):.4f}, val loss {val_loss:.4f}, val acc {hits:.4f}")
