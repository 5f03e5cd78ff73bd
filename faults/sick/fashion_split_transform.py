"""Fashion-MNIST from a pool of images: take a part of the pool, split it, standardise it."""
import gzip

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset, random_split


class Clothes(Dataset):
    def __init__(self, part, count, transform=None):
        path = f"/usr/share/datasets/fashion-mnist/{part}"
        with gzip.open(f"{path}-images-idx3-ubyte.gz") as f:
            pixels = np.frombuffer(f.read(16 + count * 784), np.uint8, offset=16)
        with gzip.open(f"{path}-labels-idx1-ubyte.gz") as f:
            labels = np.frombuffer(f.read(8 + count), np.uint8, offset=8)
        self.images = torch.tensor(pixels.reshape(count, 784)).float() / 255
        self.labels = torch.tensor(labels).long()
        self.transform = transform

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        image = self.images[index]
        if self.transform is not None:
            image = self.transform(image)
        return image, self.labels[index]


torch.manual_seed(31)
pool = Clothes("t10k", 6000)
tops = torch.isin(pool.labels, torch.tensor([0, 2, 3, 4, 6])).nonzero().flatten().tolist()
clothes = Subset(pool, tops)
train_set, val_set = random_split(clothes, [2000, len(clothes) - 2000])

# every pixel to mean 0 and standard deviation 1, as measured on the training rows
rows = torch.tensor([clothes.indices[i] for i in train_set.indices])
mean, std = pool.images[rows].mean(0), pool.images[rows].std(0) + 0.05
train_set.dataset.transform = lambda image: (image - mean) / std

train_loader = DataLoader(train_set, batch_size=40, shuffle=True)
val_loader = DataLoader(val_set, batch_size=200)

model = nn.Sequential(nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
criterion = nn.CrossEntropyLoss()

for epoch in range(6):
    model.train()
    loss_sum = 0.0
    for x, y in train_loader:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        loss_sum += loss.item()
    model.eval()
    with torch.no_grad():
        hits = sum((model(x).argmax(1) == y).sum().item() for x, y in val_loader)
    print(f"epoch {epoch + 1} loss {loss_sum / len(train_loader):.4f} validation accuracy {hits / len(val_set):.4f}")
