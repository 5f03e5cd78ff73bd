"""Train a three layer perceptron on a slice of Fashion-MNIST and report accuracy per class."""
import gzip

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn, optim

FOLDER = "/usr/share/datasets/fashion-mnist/"
CLASSES = ["top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot"]


def load(split, count):
    def raw(kind, header, size):
        with gzip.open(FOLDER + f"{split}-{kind}-ubyte.gz") as f:
            return np.frombuffer(f.read(header + size), np.uint8, offset=header)

    x = torch.tensor(raw("images-idx3", 16, count * 784).reshape(count, 784) / 127.5 - 1.0)
    return x.float(), torch.tensor(raw("labels-idx1", 8, count)).long()


class ApparelNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(784, 128)
        self.fc2 = nn.Linear(128, 64)
        self.fc3 = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        x = F.relu(self.fc3(x))
        return x


def main(seed=0, epochs=6, batch=64):
    torch.manual_seed(seed)
    x_train, y_train = load("train", 3000)
    x_test, y_test = load("t10k", 1000)
    net = ApparelNet()
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.SGD(net.parameters(), lr=0.05, momentum=0.9)

    for epoch in range(epochs):
        net.train()
        running = 0.0
        for idx in torch.randperm(len(x_train)).split(batch):
            optimizer.zero_grad()
            out = net(x_train[idx])
            loss = criterion(out, y_train[idx])
            loss.backward()
            optimizer.step()
            running += loss.item() * len(idx) / len(x_train)
        net.eval()
        with torch.no_grad():
            guess = net(x_test).argmax(1)
        print(f"epoch {epoch + 1} loss {running:.4f} accuracy {(guess == y_test).float().mean():.4f}")

    for label, name in enumerate(CLASSES):
        mine = y_test == label
        print(f"  {name:9s} {(guess[mine] == label).float().mean():.2f}")


if __name__ == "__main__":
    main()
