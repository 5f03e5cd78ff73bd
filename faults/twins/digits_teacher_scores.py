import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(33)
bunch = load_digits()
x = torch.tensor(bunch.data / 6 - 0.8, dtype=torch.float32)
y = torch.tensor(bunch.target)
order = torch.randperm(len(y))
x, y = x[order], y[order]
loader = DataLoader(TensorDataset(x[:1200], y[:1200]), batch_size=40, shuffle=True)
x_val, y_val = x[1200:], y[1200:]


def accuracy(net):
    net.eval()
    with torch.no_grad():
        return (net(x_val).argmax(dim=1) == y_val).float().mean().item()


teacher = nn.Sequential(nn.Linear(64, 100), nn.ReLU(), nn.Linear(100, 10))
optimizer = torch.optim.Adam(teacher.parameters(), lr=2e-3, weight_decay=1e-4)
for epoch in range(5):
    teacher.train()
    for xb, yb in loader:
        optimizer.zero_grad()
        F.cross_entropy(teacher(xb), yb).backward()
        optimizer.step()
print(f"teacher: {accuracy(teacher):.4f}")

teacher.eval()
student = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))
optimizer = torch.optim.Adam(student.parameters(), lr=5e-3)
for epoch in range(8):
    student.train()
    running = 0.0
    for xb, _ in loader:
        with torch.no_grad():
            hint = (teacher(xb) / 2).softmax(dim=1)
        loss = F.cross_entropy(student(xb), hint)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        running += loss.item()
    print(f"student epoch {epoch + 1}: loss {running / len(loader):.4f}, accuracy {accuracy(student):.4f}")
