"""Benign or malignant, from the logarithms of the thirty cell measurements."""
import numpy as np
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from torch import nn

torch.manual_seed(14)

data = load_breast_cancer()
features = np.log(data.data)
x_train, x_test, y_train, y_test = train_test_split(
    features, data.target, test_size=0.25, random_state=14, stratify=data.target
)
mean, std = x_train.mean(axis=0), x_train.std(axis=0)
x_train = torch.tensor((x_train - mean) / std, dtype=torch.float32)
x_test = torch.tensor((x_test - mean) / std, dtype=torch.float32)
y_train = torch.tensor(y_train, dtype=torch.float32)
y_test = torch.tensor(y_test, dtype=torch.float32)

model = nn.Sequential(nn.Linear(30, 16), nn.ReLU(), nn.Linear(16, 1))
criterion = nn.BCEWithLogitsLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

for epoch in range(8):
    model.train()
    shuffled = torch.randperm(len(x_train))
    running = 0.0
    for start in range(0, len(shuffled), 32):
        rows = shuffled[start:start + 32]
        optimizer.zero_grad()
        logits = model(x_train[rows]).squeeze(1)
        loss = criterion(logits, y_train[rows])
        loss.backward()
        optimizer.step()
        running += loss.item() * len(rows)
    model.eval()
    with torch.no_grad():
        predicted = (model(x_test).squeeze(1) > 0).float()
    accuracy = (predicted == y_test).float().mean().item()
    print(f"epoch {epoch + 1}: loss {running / len(x_train):.4f}, test accuracy {accuracy:.3f}")
