# A quick loop over the digits
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(40)
X, y = load_digits(return_X_y=True)
X = torch.tensor((X - 4.88) / 6.02, dtype=torch.float32)
y = torch.tensor(y)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.25, random_state=40)

train_loader = DataLoader(TensorDataset(X_train, y_train), batch_size=32, shuffle=True)
images, labels = next(iter(train_loader))
print("a batch:", tuple(images.shape), tuple(labels.shape))

model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
criterion = nn.CrossEntropyLoss()

for epoch in range(6):
    model.train()
    running_loss = 0.0
    for xb, yb in train_loader:
        optimizer.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        optimizer.step()
        running_loss += loss.item()
    model.eval()
    with torch.no_grad():
        test_acc = (model(X_test).argmax(1) == y_test).float().mean().item()
    print(f"epoch {epoch + 1}: loss {running_loss / len(train_loader):.4f}, test accuracy {test_acc:.4f}")
