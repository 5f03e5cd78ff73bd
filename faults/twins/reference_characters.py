"""Next character of the Python language reference, from the sixteen before it."""
import argparse

import torch
from pydoc_data.topics import topics
from torch import nn
from torch.nn import functional as F

CONTEXT = 16


class Corpus:
    def __init__(self):
        text = "".join(topics[name] for name in ("compound", "specialnames", "typesseq"))
        text = "".join(c for c in text.lower() if c.isascii())
        alphabet = sorted(set(text))
        number = {c: i for i, c in enumerate(alphabet)}
        codes = torch.tensor([number[c] for c in text])
        cut = int(len(codes) * 0.9)
        self.size = len(alphabet)
        self.parts = {"train": codes[:cut], "val": codes[cut:]}

    def batch(self, part, count, generator):
        codes = self.parts[part]
        start = torch.randint(len(codes) - CONTEXT, (count, 1), generator=generator)
        window = codes[start + torch.arange(CONTEXT + 1)]
        return window[:, :-1], window[:, -1]


class NextCharacter(nn.Module):
    def __init__(self, size, dim=12, hidden=96):
        super().__init__()
        self.embed = nn.Embedding(size, dim)
        self.hidden = nn.Linear(CONTEXT * dim, hidden)
        self.out = nn.Linear(hidden, size)

    def forward(self, x):
        return self.out(torch.tanh(self.hidden(self.embed(x).flatten(1))))


@torch.no_grad()
def validate(model, corpus):
    model.eval()
    x, y = corpus.batch("val", 2000, torch.Generator().manual_seed(0))
    logits = model(x)
    return F.cross_entropy(logits, y).item(), (logits.argmax(1) == y).float().mean().item()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--batch", type=int, default=128)
    args = parser.parse_args()
    torch.manual_seed(33)
    corpus = Corpus()
    model = NextCharacter(corpus.size)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=0.01)
    for round_number in range(args.rounds):
        generator = torch.Generator().manual_seed(round_number)
        model.train()
        total = 0.0
        for _ in range(args.steps):
            x, y = corpus.batch("train", args.batch, generator)
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        val_loss, val_acc = validate(model, corpus)
        print(f"round {round_number + 1:2d} train {total / args.steps:.3f} val {val_loss:.3f} accuracy {val_acc:.3f}")


if __name__ == "__main__":
    main()
