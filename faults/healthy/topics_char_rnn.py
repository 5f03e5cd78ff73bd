"""Character model of Python's help texts: a GRU over twenty parallel streams, truncated backpropagation."""
import math
from pydoc_data.topics import topics

import torch
from torch import nn

STREAMS, CHUNK = 24, 32

text = "\n".join(topics[key] for key in sorted(topics))[:52000]
alphabet = {c: i for i, c in enumerate(sorted(set(text)))}
codes = torch.tensor([alphabet[c] for c in text])
train, valid = codes[:46000], codes[46000:]


def streams(data, rows):
    return data[: len(data) // rows * rows].view(rows, -1)


class CharModel(nn.Module):
    def __init__(self, size, hidden=96):
        super().__init__()
        self.embed = nn.Embedding(size, 32)
        self.gru = nn.GRU(32, hidden, batch_first=True)
        self.out = nn.Linear(hidden, size)

    def forward(self, x, state):
        h, state = self.gru(self.embed(x), state)
        return self.out(h), state


def chunks(data):
    for i in range(0, data.size(1) - 1 - CHUNK, CHUNK):
        yield data[:, i:i + CHUNK], data[:, i + 1:i + 1 + CHUNK]


torch.manual_seed(9)
model = CharModel(len(alphabet))
optimizer = torch.optim.Adam(model.parameters(), lr=6e-3)
criterion = nn.CrossEntropyLoss()
train_streams, valid_streams = streams(train, STREAMS), streams(valid, 6)

for epoch in range(3):
    model.train()
    state, total, count = None, 0.0, 0
    for x, y in chunks(train_streams):
        if state is not None:
            state = state.detach()
        logits, state = model(x, state)
        loss = criterion(logits.flatten(0, 1), y.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        total, count = total + loss.item(), count + 1
    model.eval()
    with torch.no_grad():
        state, held = None, []
        for x, y in chunks(valid_streams):
            logits, state = model(x, state)
            held.append(criterion(logits.flatten(0, 1), y.flatten()).item())
    bits = sum(held) / len(held) / math.log(2)
    print(f"epoch {epoch + 1}: train {total / count / math.log(2):.3f} bits a character, held out {bits:.3f}, uniform {math.log2(len(alphabet)):.2f}")
