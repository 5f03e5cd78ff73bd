"""A character LSTM over eight continuous streams: the state is carried on and detached between chunks."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from torch import nn

from _digest import print_digest, seed_everything

STREAMS, CHUNK = 8, 32


class CharLSTM(nn.Module):
    def __init__(self, vocab):
        super().__init__()
        self.embedding = nn.Embedding(vocab, 32)
        self.lstm = nn.LSTM(32, 96, batch_first=True)
        self.out = nn.Linear(96, vocab)

    def forward(self, x, state):
        hidden, state = self.lstm(self.embedding(x), state)
        return self.out(hidden), state


def main():
    seed_everything(0)
    text = "".join(load().DESCR for load in (load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine))
    chars = sorted(set(text))
    data = torch.tensor([chars.index(c) for c in text])
    streams = data[: len(data) // STREAMS * STREAMS].view(STREAMS, -1)

    model = CharLSTM(len(chars))
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for epoch in range(2):
        state = None
        for start in range(0, streams.shape[1] - CHUNK - 1, CHUNK):
            x = streams[:, start : start + CHUNK]
            y = streams[:, start + 1 : start + CHUNK + 1]
            if state is not None:
                state = tuple(s.detach() for s in state)
            logits, state = model(x, state)
            loss = F.cross_entropy(logits.reshape(-1, len(chars)), y.reshape(-1))
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            print("loss", repr(loss.item()))
    print_digest(model)


if __name__ == "__main__":
    main()
