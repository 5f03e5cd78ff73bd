"""Fashion-MNIST; every image is cropped to its garment and stretched back before it is learnt from."""
import gzip

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

FOLDER = "/usr/share/datasets/fashion-mnist"


class Garments(Dataset):
    def __init__(self, part, n):
        with gzip.open(f"{FOLDER}/{part}-images-idx3-ubyte.gz") as f:
            raw = np.frombuffer(f.read(16 + n * 784), np.uint8, offset=16).reshape(n, 28, 28)
        with gzip.open(f"{FOLDER}/{part}-labels-idx1-ubyte.gz") as f:
            self.labels = np.frombuffer(f.read(8 + n), np.uint8, offset=8).astype(np.int64)
        self.images = [self.prepare(image) for image in raw]

    @staticmethod
    def prepare(image, size=14, threshold=25):
        rows = [r for r in range(28) if max(int(v) for v in image[r]) > threshold]
        columns = [c for c in range(28) if max(int(image[r, c]) for r in rows) > threshold]
        top, height = rows[0], rows[-1] - rows[0] + 1
        left, width = columns[0], columns[-1] - columns[0] + 1
        out = torch.empty(size, size)
        for i in range(size):
            for j in range(size):
                value = int(image[top + i * height // size, left + j * width // size])
                out[i, j] = (value / 255 - 0.4) / 0.36
        return out.flatten()

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return self.images[i], self.labels[i]


torch.manual_seed(83)
train_loader = DataLoader(Garments("train", 500), batch_size=25, shuffle=True)
val_loader = DataLoader(Garments("t10k", 200), batch_size=100)
model = nn.Sequential(nn.Linear(196, 64), nn.ReLU(), nn.Linear(64, 10))
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.2)
criterion = nn.CrossEntropyLoss()

for epoch in range(5):
    model.train()
    losses = []
    for x, y in train_loader:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    hits = 0
    with torch.no_grad():
        for x, y in val_loader:
            hits += (model(x).argmax(1) == y).sum().item()
    print(f"epoch {epoch}: loss {np.mean(losses):.4f}, val accuracy {hits / 200:.3f}")
