"""Sort Fashion-MNIST pictures with a plain perceptron."""
import gzip

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

FOLDER = "/usr/share/datasets/fashion-mnist/"


def read(split, count):
    with gzip.open(f"{FOLDER}{split}-images-idx3-ubyte.gz") as f:
        images = np.frombuffer(f.read(16 + count * 784), np.uint8, offset=16).reshape(count, 784)
    with gzip.open(f"{FOLDER}{split}-labels-idx1-ubyte.gz") as f:
        labels = np.frombuffer(f.read(8 + count), np.uint8, offset=8)
    pixels = (images / 255.0 - 0.286) / 0.353
    return torch.tensor(pixels, dtype=torch.float32), torch.tensor(labels).long()


def initialise(module):
    if isinstance(module, nn.Linear):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        nn.init.constant_(module.bias, -5.0)


def build():
    hidden = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU())
    hidden.apply(initialise)
    return nn.Sequential(hidden, nn.Linear(64, 10))


def main():
    torch.manual_seed(3)
    train = TensorDataset(*read("train", 3000))
    x_test, y_test = read("t10k", 1000)
    loader = DataLoader(train, batch_size=64, shuffle=True)
    model = build()
    loss_fn = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.8, weight_decay=1e-3)
    for epoch in range(5):
        model.train()
        total = 0.0
        for images, labels in loader:
            optimizer.zero_grad()
            loss = loss_fn(model(images), labels)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(labels)
        model.eval()
        with torch.no_grad():
            accuracy = (model(x_test).argmax(1) == y_test).float().mean().item()
        print(f"epoch {epoch + 1}: loss {total / len(train):.4f}, test accuracy {accuracy:.3f}")


if __name__ == "__main__":
    main()
