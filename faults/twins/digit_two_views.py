"""Digits under pixel noise: besides the class, two noisy views of one digit are compared."""
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn


class Encoder(nn.Module):
    def __init__(self, width=64, code=16):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, code))
        self.classes = nn.Linear(code, 10)

    def forward(self, x):
        code = self.layers(x)
        return code, self.classes(code)


def noisy(x, sigma=0.7):
    return x + sigma * torch.randn_like(x)


def agreement_loss(a, b):
    return 1 - F.cosine_similarity(a, b, dim=1).mean()


def batch_loss(model, x, y, weight):
    code_a, logits = model(noisy(x))
    code_b, _ = model(noisy(x))
    return F.cross_entropy(logits, y) + weight * agreement_loss(code_a, code_b)


def train(model, x, y, x_val, y_val, epochs=10, weight=1.0):
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for epoch in range(epochs):
        model.train()
        total, steps = 0.0, 0
        for rows in torch.randperm(len(x)).split(40):
            optimizer.zero_grad()
            loss = batch_loss(model, x[rows], y[rows], weight)
            loss.backward()
            optimizer.step()
            total += loss.item()
            steps += 1
        accuracy = test(model, x_val, y_val)
        print(f"epoch {epoch}: loss {total / steps:.4f}, accuracy on noisy digits {accuracy:.4f}")


def test(model, x, y):
    model.eval()
    with torch.no_grad():
        return (model(x)[1].argmax(1) == y).float().mean().item()


if __name__ == "__main__":
    torch.manual_seed(16)
    pixels, labels = load_digits(return_X_y=True)
    pixels, labels = torch.tensor(pixels, dtype=torch.float32), torch.tensor(labels)
    pixels = (pixels - pixels.mean()) / pixels.std()
    order = torch.randperm(len(labels))
    pixels, labels = pixels[order], labels[order]
    train(Encoder(), pixels[:1200], labels[:1200], noisy(pixels[1200:]), labels[1200:])
