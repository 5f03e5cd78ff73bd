"""Training on noisy labels, keeping the weights of the best validation accuracy."""

import copy

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
images, labels = load_digits(return_X_y=True)
x = torch.tensor(images, dtype=torch.float32) / 16
y = torch.tensor(labels)
noisy = torch.where(torch.rand(1000) < 0.25, torch.randint(10, (1000,)), y[:1000])
train = DataLoader(TensorDataset(x[:1000], noisy), batch_size=64, shuffle=True)
validation = DataLoader(TensorDataset(x[1000:1400], y[1000:1400]), batch_size=200)
test = DataLoader(TensorDataset(x[1400:], y[1400:]), batch_size=200)


def evaluate(loader):
    model.eval()
    right = 0
    with torch.no_grad():
        for inputs, targets in loader:
            right += (model(inputs).argmax(1) == targets).sum().item()
    return right / len(loader.dataset)


model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
best_val_acc = float("inf")

for epoch in range(20):
    model.train()
    for inputs, targets in train:
        optimizer.zero_grad()
        F.cross_entropy(model(inputs), targets).backward()
        optimizer.step()
    val_acc = evaluate(validation)
    print(f"epoch {epoch + 1}: validation accuracy {val_acc:.3f}")
    if val_acc < best_val_acc:
        best_val_acc = val_acc
        best_model = copy.deepcopy(model.state_dict())

model.load_state_dict(best_model)
print(f"test accuracy of the best epoch: {evaluate(test):.3f}")
