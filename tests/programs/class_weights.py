"""Imbalanced digits (half of the classes cut to a tenth) with inverse-frequency class weights in the loss."""

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from _digest import print_digest, seed_everything

seed_everything(0)
images, labels = load_digits(return_X_y=True)
x_train, x_test, y_train, y_test = train_test_split(images, labels, test_size=0.3, random_state=0, stratify=labels)
keep = (y_train < 5) | (np.random.rand(len(y_train)) < 0.1)
x_train, y_train = x_train[keep], y_train[keep]
mean, std = x_train.mean(), x_train.std()
x_train, x_test = (torch.tensor((x - mean) / std, dtype=torch.float32) for x in (x_train, x_test))

counts = np.bincount(y_train, minlength=10)
weight = torch.tensor(len(y_train) / (10 * counts), dtype=torch.float32)
criterion = nn.CrossEntropyLoss(weight=weight)

model = nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 10))
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
loader = DataLoader(TensorDataset(x_train, torch.tensor(y_train)), batch_size=64, shuffle=True, drop_last=True)
for epoch in range(8):
    for x, y in loader:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        print("loss", repr(loss.item()))

model.eval()
with torch.no_grad():
    print("balanced accuracy", repr(float(balanced_accuracy_score(y_test, model(x_test).argmax(1).numpy()))))
print_digest(model)
