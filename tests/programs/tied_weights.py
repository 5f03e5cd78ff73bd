"""A GRU language model over words whose output layer is the embedding matrix itself (tied weights)."""

import math
import re

import torch
import torch.nn.functional as F
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from torch import nn

from _digest import print_digest, seed_everything


class TiedModel(nn.Module):
    def __init__(self, vocab, width=64):
        super().__init__()
        self.embedding = nn.Embedding(vocab, width)
        self.gru = nn.GRU(width, width, batch_first=True)
        self.drop = nn.Dropout(0.1)
        self.decoder = nn.Linear(width, vocab)
        self.decoder.weight = self.embedding.weight
        nn.init.normal_(self.embedding.weight, std=1 / math.sqrt(width))
        nn.init.zeros_(self.decoder.bias)

    def forward(self, words):
        hidden, _ = self.gru(self.embedding(words))
        return self.decoder(self.drop(hidden))


def main():
    seed_everything(0)
    text = " ".join(load().DESCR for load in (load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine))
    words = re.findall(r"[a-z]+", text.lower())
    known = sorted({w for w in words if words.count(w) > 2})
    code = {w: i + 1 for i, w in enumerate(known)}  # 0 is a rare word
    data = torch.tensor([code.get(w, 0) for w in words])
    rows = data[: (len(data) - 1) // 16 * 16].view(-1, 16), data[1 : 1 + (len(data) - 1) // 16 * 16].view(-1, 16)

    model = TiedModel(len(known) + 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for epoch in range(8):
        for batch in torch.randperm(len(rows[0])).split(16):
            logits = model(rows[0][batch])
            loss = F.cross_entropy(logits.flatten(0, 1), rows[1][batch].flatten())
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            print("loss", repr(loss.item()))
    print_digest(model)


if __name__ == "__main__":
    main()
