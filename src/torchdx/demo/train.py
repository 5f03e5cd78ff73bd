from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(7)

data = np.load(Path(__file__).parent / "digits.npz")
images = torch.from_numpy(data["images"]).float() / 16
labels = torch.from_numpy(data["labels"]).long()
train_set = TensorDataset(images[:1400], labels[:1400])
test_set = TensorDataset(images[1400:], labels[1400:])
train_loader = DataLoader(train_set, batch_size=64, shuffle=True)
test_loader = DataLoader(test_set, batch_size=200)


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(64, 128), nn.BatchNorm1d(128), nn.ReLU(), nn.Dropout(0.3))
        self.head = nn.Linear(128, 10)

    def forward(self, x):
        return torch.softmax(self.head(self.body(x)), dim=1)


def accuracy(model):
    right = 0
    with torch.no_grad():
        for x, y in test_loader:
            right += (model(x).argmax(1) == y).sum().item()
    return right / len(test_set)


model = Classifier()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
criterion = nn.CrossEntropyLoss()
best, best_state = 0.0, None

for epoch in range(8):
    model.train()
    for x, y in train_loader:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
    score = accuracy(model)
    print(f"epoch {epoch + 1}  loss {loss.item():.3f}  accuracy {score:.3f}")
    if score > best:
        best, best_state = score, model.state_dict()

model.load_state_dict(best_state)
print(f"best accuracy {best:.3f}, restored model {accuracy(model):.3f}")
