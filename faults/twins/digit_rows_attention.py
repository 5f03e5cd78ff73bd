# Each of the eight rows of a digit is a token; one attention layer looks at all of them.
import math

import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset, random_split

D_MODEL, ROWS = 32, 8


def with_positions(tokens, places):
    """Tell the tokens where they stand; tokens: (batch, rows, features)."""
    count, width = tokens.shape[1:]
    return tokens + places(torch.arange(count)) / math.sqrt(width)


class RowAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.lift = nn.Linear(8, D_MODEL)
        self.places = nn.Embedding(ROWS, D_MODEL)
        self.attention = nn.MultiheadAttention(D_MODEL, 4, batch_first=True)
        self.norm1, self.norm2 = nn.LayerNorm(D_MODEL), nn.LayerNorm(D_MODEL)
        self.feed = nn.Sequential(nn.Linear(D_MODEL, 64), nn.GELU(), nn.Linear(64, D_MODEL))
        self.classify = nn.Linear(D_MODEL, 10)

    def forward(self, images):
        tokens = with_positions(self.lift(images), self.places)
        normed = self.norm1(tokens)
        tokens = tokens + self.attention(normed, normed, normed, need_weights=False)[0]
        tokens = tokens + self.feed(self.norm2(tokens))
        return self.classify(tokens.mean(dim=1))


def loaders(batch=40):
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32) / 8 - 1
    parts = random_split(TensorDataset(images, torch.tensor(digits.target)), [1300, 497])
    return DataLoader(parts[0], batch, shuffle=True), DataLoader(parts[1], 497)


def main():
    torch.manual_seed(27)
    train, test = loaders()
    model = RowAttention()
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(8):
        model.train()
        summed = 0.0
        for images, labels in train:
            optimizer.zero_grad()
            loss = criterion(model(images), labels)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            summed += loss.item() * len(labels)
        model.eval()
        with torch.no_grad():
            right = sum((model(images).argmax(1) == labels).sum().item() for images, labels in test)
        print(f"epoch {epoch + 1}  loss {summed / 1300:.4f}  accuracy {right / 497:.4f}")


main()
