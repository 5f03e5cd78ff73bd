"""A small BERT for characters, on the text of the GPL."""
import argparse
import re
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F

LENGTH, MASK_SHARE = 32, 0.15


class MaskedLM(nn.Module):
    def __init__(self, vocab, d=48, heads=4, layers=1):
        super().__init__()
        self.tokens = nn.Embedding(vocab, d)
        self.places = nn.Conv1d(d, d, 5, padding=2)  # where a character stands, told by its neighbours
        layer = nn.TransformerEncoderLayer(d, heads, 2 * d, dropout=0.1, batch_first=True, norm_first=True, activation="gelu")
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(d)
        self.out = nn.Linear(d, vocab)
        nn.init.normal_(self.tokens.weight, std=0.5)

    def forward(self, ids):
        x = self.tokens(ids)
        x = x + self.places(x.transpose(1, 2)).transpose(1, 2)
        return self.out(self.norm(self.encoder(x)))


def masked(ids, mask_id, generator=None):
    """Hide some characters; targets elsewhere are -100 (ignored)."""
    hide = torch.rand(ids.shape, generator=generator) < MASK_SHARE
    return ids.masked_fill(hide, mask_id), ids.masked_fill(~hide, -100)


def windows(codes, count, generator=None):
    start = torch.randint(len(codes) - LENGTH, (count, 1), generator=generator)
    return codes[start + torch.arange(LENGTH)]


def main(args):
    torch.manual_seed(args.seed)
    text = Path("/usr/share/common-licenses/GPL-3").read_text().lower()
    text = re.sub(r"\s+", " ", text)
    letters = sorted(set(text))
    codes = torch.tensor([letters.index(c) for c in text])
    cut = int(0.9 * len(codes))
    train, held = codes[:cut], codes[cut:]
    mask_id = len(letters)
    g = torch.Generator().manual_seed(0)
    val_in, val_target = masked(windows(held, 200, g), mask_id, g)
    seen = val_target != -100
    commonest = (val_target[seen] == train.mode().values).float().mean()

    model = MaskedLM(len(letters) + 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=0.01)
    warmup = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: min(1.0, (s + 1) / 20))
    running = []
    for step in range(1, args.steps + 1):
        model.train()
        x, y = masked(windows(train, args.batch), mask_id)
        loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        warmup.step()
        running.append(loss.item())
        if step % 50 == 0:
            model.eval()
            with torch.no_grad():
                logits = model(val_in)
            acc = (logits.argmax(-1)[seen] == val_target[seen]).float().mean()
            val = F.cross_entropy(logits.flatten(0, 1), val_target.flatten())
            print(f"step {step}: train {sum(running[-50:]) / 50:.3f} held out {val:.3f} accuracy {acc:.3f} (commonest {commonest:.3f})")


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--steps", type=int, default=200)
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--lr", type=float, default=4e-3)
    p.add_argument("--seed", type=int, default=18)
    main(p.parse_args())
