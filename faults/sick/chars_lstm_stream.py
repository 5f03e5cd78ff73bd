import argparse

import torch
from torch import nn

torch.manual_seed(24)

with open(argparse.__file__) as f:
    text = f.read()[10000:40000]
vocab = {c: i for i, c in enumerate(sorted(set(text)))}
codes = torch.tensor([vocab[c] for c in text])
n_train = int(len(codes) * 0.9)
streams = codes[: n_train // 20 * 20].view(20, -1)
held_out = codes[n_train:].unsqueeze(0)
seq_len = 20


class CharLSTM(nn.Module):
    def __init__(self, size, hidden=64):
        super().__init__()
        self.embed = nn.Embedding(size, 24)
        self.lstm = nn.LSTM(24, hidden, batch_first=True)
        self.fc = nn.Linear(hidden, size)

    def forward(self, x, state=None):
        out, state = self.lstm(self.embed(x), state)
        return self.fc(out), state


model = CharLSTM(len(vocab))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
criterion = nn.CrossEntropyLoss()

for epoch in range(4):
    model.train()
    state, losses = None, []
    for i in range(0, streams.size(1) - seq_len, seq_len):
        x, y = streams[:, i:i + seq_len], streams[:, i + 1:i + seq_len + 1]
        logits, state = model(x, state)
        loss = criterion(logits.reshape(-1, len(vocab)), y.reshape(-1))
        optimizer.zero_grad()
        loss.backward(retain_graph=True)
        optimizer.step()
        losses.append(loss.item())

    model.eval()
    with torch.no_grad():
        logits, _ = model(held_out[:, :-1])
        accuracy = (logits.argmax(-1) == held_out[:, 1:]).float().mean().item()
    print(f"epoch {epoch + 1}: loss {sum(losses) / len(losses):.3f} accuracy {accuracy:.3f}")
