import torch
import torch.nn as nn
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch.utils.data import DataLoader, TensorDataset

LAMBDA = 0.0003

torch.manual_seed(3)
x_train, x_test, y_train, y_test = train_test_split(
    *load_wine(return_X_y=True), test_size=0.3, random_state=3
)
scaler = StandardScaler().fit(x_train)
x_train, x_test = (
    torch.tensor(scaler.transform(part), dtype=torch.float32) for part in (x_train, x_test)
)
y_train, y_test = torch.tensor(y_train), torch.tensor(y_test)
loader = DataLoader(TensorDataset(x_train, y_train), batch_size=16, shuffle=True)

model = nn.Sequential(nn.Linear(13, 20), nn.ReLU(), nn.Linear(20, 3))
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)

for epoch in range(15):
    model.train()
    ce_sum = 0.0
    for inputs, labels in loader:
        optimizer.zero_grad()
        ce = criterion(model(inputs), labels)
        l1 = sum(p.abs().sum() for p in model.parameters())
        loss = ce + LAMBDA * l1
        loss.backward()
        optimizer.step()
        ce_sum += ce.item() * len(labels)
    model.eval()
    with torch.no_grad():
        accuracy = (model(x_test).argmax(dim=1) == y_test).float().mean().item()
    print(f"epoch {epoch + 1:2d}  cross-entropy {ce_sum / len(x_train):.4f}  test accuracy {accuracy:.4f}")
