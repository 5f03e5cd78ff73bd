"""Fine-tune a digit network on new digits and report how strongly the loss depends on each pixel."""
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F


class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU())
        self.head = nn.Linear(32, classes)

    def forward(self, x):
        return self.head(self.body(x))


def run(model, optimizer, x, y, epochs, sensitivity=False):
    """Train; return the last epoch's mean loss and the mean absolute gradient per pixel."""
    pixels = torch.zeros(64)
    for epoch in range(epochs):
        total = 0.0
        for rows in torch.randperm(len(x)).split(32):
            inputs = x[rows].clone().requires_grad_(sensitivity)
            optimizer.zero_grad()
            loss = F.cross_entropy(model(inputs), y[rows])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
            if sensitivity:
                pixels += inputs.grad.abs().sum(0)
        print(f"  epoch {epoch + 1}: loss {total / len(x):.4f}")
    return pixels / (len(x) * epochs)


def accuracy(model, x, y):
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


torch.manual_seed(4)
images, labels = load_digits(return_X_y=True)
x = torch.tensor(images, dtype=torch.float32) / 16 - 0.3
y = torch.tensor(labels)
split = 1300
x_train, y_train, x_test, y_test = x[:split], y[:split], x[split:], y[split:]

print("digits 0 to 5")
model = Net(6)
old = y_train < 6
run(model, torch.optim.Adam(model.parameters(), lr=2e-3), x_train[old], y_train[old], 8)
print(f"  accuracy {accuracy(model, x_test[y_test < 6], y_test[y_test < 6]):.3f}")

print("digits 6 to 9")
model.head = nn.Linear(32, 4)
for p in model.body[0].parameters():
    p.requires_grad = False
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
new, new_test = y_train >= 6, y_test >= 6
pixels = run(model, optimizer, x_train[new], y_train[new] - 6, 8, sensitivity=True)
print("  most used pixel:", divmod(int(pixels.argmax()), 8))
print(f"  accuracy {accuracy(model, x_test[new_test], y_test[new_test] - 6):.3f}")
