"""Digits: training and validation phase in one loop, test at the end."""
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(71)

images, labels = load_digits(return_X_y=True)
images = torch.tensor((images / 16 - 0.305) / 0.376, dtype=torch.float32)
labels = torch.tensor(labels)
x_rest, x_test, y_rest, y_test = train_test_split(images, labels, test_size=600, random_state=71)
x_train, x_val, y_train, y_val = train_test_split(x_rest, y_rest, test_size=400, random_state=71)

loaders = {
    "train": DataLoader(TensorDataset(x_train, y_train), batch_size=32, shuffle=True),
    "val": DataLoader(TensorDataset(x_val, y_val), batch_size=40),
}
model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 10))
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

for epoch in range(10):
    for phase in ("train", "val"):
        model.train(phase == "train")
        total, hits, rows = 0.0, 0, 0
        for x, y in loaders[phase]:
            optimizer.zero_grad()
            out = model(x)
            loss = criterion(out, y)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(y)
            hits += (out.argmax(1) == y).sum().item()
            rows += len(y)
        print(f"epoch {epoch} {phase:5s} loss {total / rows:.4f} accuracy {hits / rows:.4f}")

model.eval()
with torch.no_grad():
    out = model(x_test)
print(f"test loss {criterion(out, y_test):.4f} accuracy {(out.argmax(1) == y_test).float().mean():.4f}")
