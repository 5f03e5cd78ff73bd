"""Which chapter of the Python reference does a paragraph come from? Mean of word vectors."""
import random
import re
from collections import Counter

import torch
from pydoc_data.topics import topics
from torch import nn

CHAPTERS = ["formatstrings", "compound", "debugger", "string-methods"]
WORDS, LENGTH = 300, 60


def paragraphs():
    for number, chapter in enumerate(CHAPTERS):
        for text in topics[chapter].split("\n\n"):
            yield re.findall(r"[a-z_]{3,}", text.lower())[:LENGTH], number


class TopicNet(nn.Module):
    def __init__(self, size=24):
        super().__init__()
        self.words = nn.Embedding(WORDS + 1, size)
        self.out = nn.Linear(size, len(CHAPTERS))

    def forward(self, text):
        known = (text > 0).float()
        vectors = self.words(text) * known.unsqueeze(2)
        mean = vectors.sum(dim=1) / known.sum(dim=1).clamp(min=1).unsqueeze(1)
        return self.out(mean)


random.seed(7)
torch.manual_seed(7)
rows = list(paragraphs())
random.shuffle(rows)
n = int(0.75 * len(rows))
counts = Counter(word for words, _ in rows[:n] for word in words)
index = {word: i + 1 for i, (word, _) in enumerate(counts.most_common(WORDS))}
text = torch.zeros(len(rows), LENGTH, dtype=torch.long)
for r, (words, _) in enumerate(rows):
    codes = [index.get(word, 0) for word in words]
    text[r, :len(codes)] = torch.tensor(codes, dtype=torch.long)
chapter = torch.tensor([number for _, number in rows])
print(f"{n} paragraphs to learn from, {len(rows) - n} to test")

model = TopicNet()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2, weight_decay=1e-4)
criterion = nn.CrossEntropyLoss()
for epoch in range(8):
    model.train()
    total = 0.0
    for batch in torch.randperm(n).split(16):
        optimizer.zero_grad()
        loss = criterion(model(text[batch]), chapter[batch])
        loss.backward()
        optimizer.step()
        total += loss.item() * len(batch)
    model.eval()
    with torch.no_grad():
        right = (model(text[n:]).argmax(1) == chapter[n:]).float().mean().item()
    print(f"epoch {epoch + 1}: loss {total / n:.4f}, test accuracy {right:.4f}")
