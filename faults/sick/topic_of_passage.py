"""From which chapter of the language reference does a passage of 25 words come?"""
import collections
import random
import re
import tempfile
from pathlib import Path

import torch
from pydoc_data.topics import topics
from torch import nn

CHAPTERS = ["specialnames", "compound", "string-methods", "debugger", "formatstrings"]
LENGTH = 25


def words(text):
    return re.findall(r"[a-z_]+", text.lower())


def write_vocabulary(path, size=600):
    counts = collections.Counter(w for name in CHAPTERS for w in words(topics[name]))
    path.write_text("\n".join(["<unk>"] + [w for w, _ in counts.most_common(size)]) + "\n")


def read_vocabulary(path):
    with open(path) as lines:
        return {line: number for number, line in enumerate(lines)}


def passages(vocabulary):
    """Rows of word numbers and their chapters, 108 of each chapter, in random order."""
    rows = []
    for label, name in enumerate(CHAPTERS):
        numbers = [vocabulary.get(w, 0) for w in words(topics[name])]
        rows += [(numbers[start : start + LENGTH], label) for start in range(0, 108 * LENGTH, LENGTH)]
    random.shuffle(rows)
    return rows


def tensors(rows):
    return torch.tensor([r[0] for r in rows]), torch.tensor([r[1] for r in rows])


class TopicNet(nn.Module):
    def __init__(self, size, dim=24):
        super().__init__()
        self.embed = nn.Embedding(size, dim)
        self.fc = nn.Sequential(nn.Linear(dim, 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, len(CHAPTERS)))

    def forward(self, x):
        return self.fc(self.embed(x).sum(dim=1) / LENGTH**0.5)


def main():
    random.seed(12)
    torch.manual_seed(12)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vocabulary.txt"
        write_vocabulary(path)
        vocabulary = read_vocabulary(path)
    rows = passages(vocabulary)
    x, y = tensors(rows[:400])
    x_val, y_val = tensors(rows[400:])
    model = TopicNet(len(vocabulary))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.05)
    for epoch in range(6):
        model.train()
        losses = []
        for rows in torch.randperm(len(x)).split(16):
            loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        model.eval()
        with torch.no_grad():
            accuracy = (model(x_val).argmax(1) == y_val).float().mean().item()
        print(f"epoch {epoch + 1}  loss {sum(losses) / len(losses):.3f}  held out {accuracy:.3f}")


if __name__ == "__main__":
    main()
