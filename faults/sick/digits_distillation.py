"""Distil a wide digit network into a narrow one."""
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn


def mlp(width):
    return nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10))


def shuffled(x, y, size):
    for rows in torch.randperm(len(x)).split(size):
        yield x[rows], y[rows]


def accuracy(net, x, y):
    net.eval()
    with torch.no_grad():
        return (net(x).argmax(1) == y).float().mean().item()


torch.manual_seed(28)
X, Y = load_digits(return_X_y=True)
X = torch.tensor(X / 16 - 0.3, dtype=torch.float32)
Y = torch.tensor(Y)
train_rows, rest = train_test_split(range(len(X)), test_size=0.5, random_state=28)
val_rows, test_rows = rest[:400], rest[400:]
x, y = X[train_rows], Y[train_rows]

teacher = mlp(128)
optimizer = torch.optim.Adam(teacher.parameters(), lr=3e-3)
for epoch in range(12):
    teacher.train()
    for xb, yb in shuffled(x, y, 32):
        optimizer.zero_grad()
        loss = F.cross_entropy(teacher(xb), yb)
        loss.backward()
        optimizer.step()
print(f"teacher accuracy {accuracy(teacher, X[val_rows], Y[val_rows]):.4f}")

student = mlp(10)
optimizer = torch.optim.Adam(student.parameters(), lr=0.03)
best_acc, best = 0.0, None
T = 3.0
for epoch in range(12):
    student.train()
    total = 0.0
    for xb, yb in shuffled(x, y, 16):
        with torch.no_grad():
            soft = F.softmax(teacher(xb) / T, dim=1)
        optimizer.zero_grad()
        logits = student(xb)
        loss = 0.5 * F.cross_entropy(logits, yb) + 0.5 * T * T * F.kl_div(
            F.log_softmax(logits / T, dim=1), soft, reduction="batchmean"
        )
        loss.backward()
        optimizer.step()
        total += loss.item() * len(yb)
    acc = accuracy(student, X[val_rows], Y[val_rows])
    if acc > best_acc:
        best_acc, best = acc, student.state_dict()
    print(f"student epoch {epoch + 1}: loss {total / len(x):.3f} validation accuracy {acc:.4f}")

deployed = mlp(10)
deployed.load_state_dict(best)
print(f"best validation accuracy of the student {best_acc:.4f}")
print(f"deployed on validation rows {accuracy(deployed, X[val_rows], Y[val_rows]):.4f}")
print(f"deployed on test rows {accuracy(deployed, X[test_rows], Y[test_rows]):.4f}")
