import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


class Encoder(nn.Module):
    def __init__(self, width=40, code=16):
        super().__init__()
        self.lin1 = nn.Linear(64, width)
        self.lin2 = nn.Linear(width, code)

    def forward(self, x):
        return torch.relu(self.lin2(torch.relu(self.lin1(x))))


def batches(n, size):
    order = torch.randperm(n)
    for i in range(0, n, size):
        yield order[i:i + size]


def pretrain(encoder, x, epochs=5):
    decoder = nn.Sequential(nn.Linear(16, 40), nn.ReLU(), nn.Linear(40, 64))
    optimizer = torch.optim.Adam(list(encoder.parameters()) + list(decoder.parameters()), lr=3e-3)
    for epoch in range(epochs):
        total = 0.0
        for b in batches(len(x), 64):
            optimizer.zero_grad()
            loss = F.mse_loss(decoder(encoder(x[b])), x[b])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(b)
        print(f"reconstruction {epoch + 1}: {total / len(x):.4f}")


def finetune(encoder, x, y, x_test, y_test, epochs=6):
    head = nn.Linear(16, 10)
    optimizer = torch.optim.SGD(encoder.parameters(), lr=0.05)
    for epoch in range(epochs):
        total = 0.0
        for b in batches(len(x), 32):
            optimizer.zero_grad()
            loss = F.cross_entropy(head(encoder(x[b])), y[b])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(b)
        with torch.no_grad():
            accuracy = (head(encoder(x_test)).argmax(dim=1) == y_test).float().mean().item()
        print(f"classifier {epoch + 1}: loss {total / len(x):.4f}, test accuracy {accuracy:.3f}")


def main():
    torch.manual_seed(5)
    images, labels = load_digits(return_X_y=True)
    x, x_test, y, y_test = train_test_split(images, labels, test_size=400, random_state=5, stratify=labels)
    x = torch.tensor(x / 16 - 0.3, dtype=torch.float32)
    x_test = torch.tensor(x_test / 16 - 0.3, dtype=torch.float32)
    encoder = Encoder()
    pretrain(encoder, x)
    finetune(encoder, x, torch.tensor(y), x_test, torch.tensor(y_test))


if __name__ == "__main__":
    main()
