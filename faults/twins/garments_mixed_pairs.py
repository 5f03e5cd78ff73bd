"""Garments, each blended with a randomly chosen other one before it is shown to the net."""
import gzip
import random

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

ROOT = "/usr/share/datasets/fashion-mnist"
N_TRAIN, N_TEST = 1600, 1000


def idx(name, count, skip, shape):
    with gzip.open(f"{ROOT}/{name}") as handle:
        raw = handle.read(skip + count * int(np.prod(shape)))
    return np.frombuffer(raw, np.uint8, offset=skip).reshape(count, *shape)


def split(part, count):
    images = idx(f"{part}-images-idx3-ubyte.gz", count, 16, (28, 28))[:, ::2, ::2]
    labels = idx(f"{part}-labels-idx1-ubyte.gz", count, 8, ())
    return (images.astype(np.float32) / 255.0 - 0.28) / 0.35, labels.astype(np.int64)


class Blended(Dataset):
    def __init__(self, images, labels, seed=0):
        self.images, self.labels = images, labels
        self.random = random.Random(seed)

    def __len__(self):
        return len(self.images)

    def reseed(self, seed):
        self.random = random.Random(seed)

    def __getitem__(self, i):
        j = self.random.randrange(len(self.images))
        share = self.random.uniform(0.0, 0.3)
        image = (1.0 - share) * self.images[i] + share * self.images[j]
        return image.reshape(-1), self.labels[i]


def prepare(worker_id):
    torch.utils.data.get_worker_info().dataset.reseed(1000 + worker_id)


class Classifier(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = torch.nn.Linear(196, 80)
        self.scores = torch.nn.Linear(80, 10)

    def forward(self, x):
        return self.scores(F.gelu(self.hidden(x)))


if __name__ == "__main__":
    torch.manual_seed(8)
    train = Blended(*split("train", N_TRAIN))
    test_images, test_labels = map(torch.from_numpy, split("t10k", N_TEST))
    loader = DataLoader(
        train,
        batch_size=40,
        shuffle=True,
        num_workers=2,
        worker_init_fn=prepare,
        persistent_workers=True,
    )
    net = Classifier()
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.01)
    for epoch in range(6):
        net.train()
        summed = 0.0
        for images, labels in loader:
            loss = F.cross_entropy(net(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            summed += loss.item()
        net.eval()
        with torch.no_grad():
            right = (net(test_images.flatten(1)).argmax(1) == test_labels).sum().item()
        print(f"epoch {epoch}  loss {summed / len(loader):.4f}  test {right / N_TEST:.3f}")
