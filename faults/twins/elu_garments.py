"""Fashion-MNIST with linear layers and ELU activations (10 classes, softmax cross-entropy)."""
import gzip

import numpy as np
import torch
import torch.nn as nn

DATA = "/usr/share/datasets/fashion-mnist"
N_TRAIN, N_TEST = 4000, 1000
BATCH_SIZE = 64
LEARNING_RATE = 0.05
EPOCHS = 6


def read_images(path, n):
    with gzip.open(path) as f:
        raw = np.frombuffer(f.read(16 + n * 784), dtype=np.uint8, offset=16)
    return raw.reshape(n, 784).astype(np.float32) / 255.0


def read_labels(path, n):
    with gzip.open(path) as f:
        return np.frombuffer(f.read(8 + n), dtype=np.uint8, offset=8).astype(np.int64)


class MLP(nn.Module):
    def __init__(self, n_inputs, n_hidden, n_classes):
        super().__init__()
        layers = []
        for width in n_hidden:
            linear = nn.Linear(n_inputs, width)
            nn.init.kaiming_normal_(linear.weight)
            nn.init.zeros_(linear.bias)
            layers += [linear, nn.ELU()]
            n_inputs = width
        layers.append(nn.Linear(n_inputs, n_classes))
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        return self.layers(x)


def evaluate(model, x, y):
    model.eval()
    with torch.no_grad():
        return (model(x).argmax(dim=1) == y).float().mean().item()


def train():
    torch.manual_seed(42)
    x_train = read_images(f"{DATA}/train-images-idx3-ubyte.gz", N_TRAIN)
    x_test = read_images(f"{DATA}/t10k-images-idx3-ubyte.gz", N_TEST)
    mean, std = x_train.mean(), x_train.std()
    x_train, x_test = torch.tensor((x_train - mean) / std), torch.tensor((x_test - mean) / std)
    y_train = torch.tensor(read_labels(f"{DATA}/train-labels-idx1-ubyte.gz", N_TRAIN))
    y_test = torch.tensor(read_labels(f"{DATA}/t10k-labels-idx1-ubyte.gz", N_TEST))

    model = MLP(784, [128], 10)
    loss_module = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE)
    dataset = torch.utils.data.TensorDataset(x_train, y_train)
    loader = torch.utils.data.DataLoader(dataset, batch_size=BATCH_SIZE, shuffle=True)

    for epoch in range(EPOCHS):
        model.train()
        losses = []
        for inputs, targets in loader:
            optimizer.zero_grad()
            loss = loss_module(model(inputs), targets)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        print(f"epoch {epoch}: loss {np.mean(losses):.4f}, test accuracy {evaluate(model, x_test, y_test):.4f}")


if __name__ == "__main__":
    train()
