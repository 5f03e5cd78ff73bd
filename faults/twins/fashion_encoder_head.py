import gzip

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class CodeClassifier(nn.Module):
    """Compress an image to a short code, then name it from the code."""

    def __init__(self, code=6):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, code), nn.Tanh())
        self.head = nn.Linear(code, 10)

    def forward(self, x):
        z = self.encoder(x)
        return self.head(z)


def images_and_labels(part, n, root="/usr/share/datasets/fashion-mnist"):
    with gzip.open(f"{root}/{part}-images-idx3-ubyte.gz") as f:
        x = np.frombuffer(f.read(16 + n * 784), np.uint8, offset=16)
    with gzip.open(f"{root}/{part}-labels-idx1-ubyte.gz") as f:
        y = np.frombuffer(f.read(8 + n), np.uint8, offset=8)
    x = torch.tensor(x.reshape(n, 784)).float().div_(255)
    return (x - 0.286) / 0.353, torch.tensor(y).long()


torch.manual_seed(19)
train = TensorDataset(*images_and_labels("train", 3000))
x_test, y_test = images_and_labels("t10k", 1000)
loader = DataLoader(train, batch_size=50, shuffle=True)

model = CodeClassifier()
opt = torch.optim.Adam(model.parameters(), lr=3e-3)
ce = nn.CrossEntropyLoss()

for epoch in range(6):
    total = 0.0
    model.train()
    for x, y in loader:
        opt.zero_grad()
        loss = ce(model(x), y)
        loss.backward()
        opt.step()
        total += loss.item()
    model.eval()
    with torch.no_grad():
        acc = (model(x_test).argmax(1) == y_test).float().mean()
    print(f"epoch {epoch + 1}: loss {total / len(loader):.4f}, test accuracy {acc:.4f}")
