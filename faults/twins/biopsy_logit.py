"""Tumour biopsies: one logit, trained with binary cross-entropy."""
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from torch import nn

torch.manual_seed(73)

data = load_breast_cancer()
x_train, x_val, y_train, y_val = train_test_split(data.data, data.target, test_size=0.3, random_state=73)
centre, spread = x_train.mean(0), x_train.std(0)
x_train = torch.tensor((x_train - centre) / spread).float()
x_val = torch.tensor((x_val - centre) / spread).float()
y_train, y_val = torch.tensor(y_train), torch.tensor(y_val)

model = nn.Sequential(nn.Linear(30, 16), nn.ReLU(), nn.Linear(16, 1))
criterion = nn.BCEWithLogitsLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

for epoch in range(12):
    model.train()
    total = 0.0
    for rows in torch.randperm(len(x_train)).split(32):
        logits = model(x_train[rows])
        loss = criterion(logits.squeeze(1), y_train[rows].float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(rows)

    model.eval()
    with torch.no_grad():
        logits = model(x_val)
        predicted = (logits.squeeze(1) > 0).long()
        accuracy = (predicted == y_val).float().mean().item()
    print(f"epoch {epoch:2d}  loss {total / len(x_train):.4f}  val accuracy {accuracy:.4f}")
