"""Next-character model of Python source with a leaky memory, read in short chunks from eight places at once."""
import textwrap
import time
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F

STREAMS, CHUNK, PASSES = 8, 16, 3


def read_text(size=6000):
    text = Path(textwrap.__file__).read_text()[:size]
    letters = sorted(set(text))
    return torch.tensor([letters.index(c) for c in text]), len(letters)


class LeakyMemory(nn.Module):
    """h <- (1 - rate) h + rate tanh(W x): each unit decays at its own rate."""

    def __init__(self, n_letters, width=64):
        super().__init__()
        self.n_letters = n_letters
        self.read = nn.Linear(n_letters, width)
        self.register_buffer("rate", torch.linspace(0.1, 0.9, width))
        self.out = nn.Sequential(nn.Linear(width + n_letters, 96), nn.ReLU(), nn.Linear(96, n_letters))

    def forward(self, letters, h):
        x = F.one_hot(letters, self.n_letters).float()
        inputs = torch.tanh(self.read(x))
        logits = []
        for t in range(letters.shape[1]):
            h = (1 - self.rate) * h + self.rate * inputs[:, t]
            logits.append(self.out(torch.cat([h, x[:, t]], dim=1)))
        return torch.stack(logits, dim=1), h


def chunks(stream):
    for i in range(0, stream.shape[1] - CHUNK - 1, CHUNK):
        yield stream[:, i:i + CHUNK], stream[:, i + 1:i + CHUNK + 1]


def main():
    torch.manual_seed(23)
    text, n_letters = read_text()
    cut = int(0.85 * len(text))
    train = text[:cut - cut % STREAMS].reshape(STREAMS, -1)
    test = text[cut:][None]
    model = LeakyMemory(n_letters)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-2)

    for number in range(PASSES):
        model.train()
        state = torch.zeros(STREAMS, 64)
        total, steps, began = 0.0, 0, time.perf_counter()
        for letters, following in chunks(train):
            logits, state = model(letters, state)
            loss = F.cross_entropy(logits.flatten(0, 1), following.flatten())
            optimizer.zero_grad()
            loss.backward(retain_graph=True)
            optimizer.step()
            total += loss.item()
            steps += 1
        seconds = time.perf_counter() - began

        model.eval()
        with torch.no_grad():
            logits, _ = model(test[:, :-1], torch.zeros(1, 64))
            accuracy = (logits.argmax(2) == test[:, 1:]).float().mean().item()
        print(f"pass {number + 1}: {1e3 * seconds / steps:.1f} ms a step, loss {total / steps:.3f}, next-letter accuracy {accuracy:.3f}")


if __name__ == "__main__":
    main()
