"""Only the head is given to the optimizer; the pretrained backbone collects unused gradients. Deliberate."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from _digest import print_digest, seed_everything
from _pretrained import pretrained_mlp


class Classifier(nn.Module):
    def __init__(self, backbone, features, classes):
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(features, classes)

    def forward(self, x):
        return self.head(self.backbone(x))


seed_everything(0)
x, y = load_digits(return_X_y=True)
x = (x - x.mean()) / x.std()
small = y < 5  # pretrained on 0-4, then the head learns all ten
model = Classifier(pretrained_mlp(x[small], y[small])[:-1], features=64, classes=10)

loader = DataLoader(TensorDataset(torch.tensor(x, dtype=torch.float32), torch.tensor(y)), batch_size=64, shuffle=True)
optimizer = torch.optim.Adam(model.head.parameters(), lr=5e-3)
for epoch in range(4):
    for inputs, targets in loader:
        model.zero_grad()
        loss = F.cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()
        print("loss", repr(loss.item()))

print_digest(model)
