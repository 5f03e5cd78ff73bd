"""From which module of the standard library is a sentence? Bags of words from the docstrings of six modules."""
import ast
import random
import re
import sysconfig
from collections import Counter
from pathlib import Path

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

SEED = 0
MODULES = ["turtle.py", "_pydecimal.py", "typing.py", "logging/__init__.py", "doctest.py", "difflib.py"]
SENTENCES, VOCABULARY, LENGTH = 240, 800, 24


def sentences(path):
    """Sentences of all docstrings of a file, as lists of words, each once."""
    found = {}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
            for part in re.split(r"(?<=[.:])\s+|\n\n", ast.get_docstring(node) or ""):
                words = re.findall(r"[a-z]+", part.lower())
                if 5 <= len(words) <= LENGTH:
                    found[tuple(words)] = True
    return list(found)


def corpus():
    """Word numbers (rows, LENGTH), padded with 0, and the module of each row."""
    lib = Path(sysconfig.get_path("stdlib"))
    rows = []
    for label, name in enumerate(MODULES):
        own = sentences(lib / name)
        random.Random(0).shuffle(own)
        rows += [(words, label) for words in own[:SENTENCES]]
    random.Random(0).shuffle(rows)
    fit = int(0.65 * len(rows))
    counts = Counter(word for words, _ in rows[:fit] for word in words)
    index = {word: i + 1 for i, (word, _) in enumerate(counts.most_common(VOCABULARY - 1))}
    x = torch.zeros(len(rows), LENGTH, dtype=torch.long)
    for i, (words, _) in enumerate(rows):
        numbers = [index[word] for word in words if word in index]
        x[i, : len(numbers)] = torch.tensor(numbers, dtype=torch.long)
    return x, torch.tensor([label for _, label in rows]), fit


class BagOfWords(nn.Module):
    def __init__(self, dim=48, hidden=48):
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, dim, padding_idx=0)
        self.drop = nn.Dropout(0.3)
        self.hidden = nn.Linear(dim, hidden)
        self.act = nn.ReLU()
        self.classify = nn.Linear(hidden, len(MODULES))
        nn.init.normal_(self.embed.weight, std=0.3)
        for layer in (self.hidden, self.classify):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def forward(self, x):
        known = (x > 0).sum(1, keepdim=True).clamp(min=1)
        bag = self.embed(x).sum(1) / known.sqrt()
        return self.classify(self.act(self.hidden(self.drop(bag))))


def test(model, x, y):
    model.eval()
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


def main(epochs=7):
    torch.manual_seed(SEED)
    x, y, fit = corpus()
    held = (len(x) - fit) // 3
    x_train, y_train = x[:fit], y[:fit]
    x_val, y_val, x_test, y_test = x[fit:fit + held], y[fit:fit + held], x[fit + held:], y[fit + held:]
    train = DataLoader(TensorDataset(x_train, y_train), batch_size=24, shuffle=True)
    model = BagOfWords()
    loss_function = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, weight_decay=1e-3)
    for epoch in range(epochs):
        model.train()
        seen, summed = 0, 0.0
        for words, label in train:
            optimizer.zero_grad()
            loss = loss_function(model(words), label)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), max_norm=5.0)
            optimizer.step()
            seen, summed = seen + len(label), summed + loss.item() * len(label)
        print(f"epoch {epoch + 1}: loss {summed / seen:.4f}")
        val_accuracy = test(model, x_val, y_val)
        print(f"  validation accuracy {val_accuracy:.4f}")
    print(f"test accuracy {test(model, x_test, y_test):.4f}")


main()
