"""Digits with a batch-normalised MLP."""
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

BATCH_SIZE = 2

torch.manual_seed(55)
pixels, labels = load_digits(return_X_y=True)
pixels = torch.tensor((pixels / 16 - 0.305) / 0.376, dtype=torch.float32)
x_train, x_test, y_train, y_test = train_test_split(pixels, torch.tensor(labels), train_size=1000, random_state=55)
loader = DataLoader(TensorDataset(x_train, y_train), batch_size=BATCH_SIZE, shuffle=True)

model = nn.Sequential(
    nn.Linear(64, 48), nn.BatchNorm1d(48), nn.ReLU(),
    nn.Linear(48, 32), nn.BatchNorm1d(32), nn.ReLU(),
    nn.Linear(32, 10),
)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)

for epoch in range(4):
    model.train()
    running = 0.0
    for x, y in loader:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        running += loss.item()
    model.eval()
    with torch.no_grad():
        logits = model(x_test)
        test_loss = criterion(logits, y_test).item()
        accuracy = (logits.argmax(1) == y_test).float().mean().item()
    print(f"epoch {epoch + 1}  train loss {running / len(loader):.4f}  test loss {test_loss:.4f}  test accuracy {accuracy:.4f}")
