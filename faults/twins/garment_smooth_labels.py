import gzip

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset

SMOOTHING = 0.1
ROOT = "/usr/share/datasets/fashion-mnist/"


class Garments(Dataset):
    """Pictures as flat standardised pixels, classes as smoothed one-hot rows."""

    def __init__(self, part, count):
        with gzip.open(f"{ROOT}{part}-images-idx3-ubyte.gz") as f:
            pixels = np.frombuffer(f.read(16 + count * 784), np.uint8, offset=16)
        with gzip.open(f"{ROOT}{part}-labels-idx1-ubyte.gz") as f:
            classes = np.frombuffer(f.read(8 + count), np.uint8, offset=8)
        pixels = pixels.reshape(count, 784).astype(np.float32)
        self.x = torch.from_numpy((pixels - 72.9) / 90.0)
        self.y = torch.from_numpy(classes.astype(np.int64))
        self.soft = F.one_hot(self.y, 10) * (1 - SMOOTHING) + SMOOTHING / 10

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return self.x[i], self.soft[i], self.y[i]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(784, 64)
        self.fc2 = nn.Linear(64, 10)
        self.drop = nn.Dropout(0.2)

    def forward(self, x):
        return self.fc2(self.drop(torch.relu(self.fc1(x))))


def main():
    torch.manual_seed(29)
    train_set, test_set = Garments("train", 2500), Garments("t10k", 1000)
    loader = DataLoader(train_set, batch_size=50, shuffle=True)
    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.03, momentum=0.9)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(6):
        net.train()
        losses = []
        for x, soft, _ in loader:
            optimizer.zero_grad()
            loss = criterion(net(x), soft)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        net.eval()
        with torch.no_grad():
            logits = net(test_set.x)
            nll = F.cross_entropy(logits, test_set.y).item()
            sure = logits.softmax(1).amax(1).mean().item()
            acc = (logits.argmax(1) == test_set.y).float().mean().item()
        print(f"{epoch}: loss {np.mean(losses):.4f} | test nll {nll:.4f} confidence {sure:.3f} accuracy {acc:.3f}")


if __name__ == "__main__":
    main()
