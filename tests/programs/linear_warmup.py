"""A small transformer encoder over image rows, trained with linear warmup then linear decay (LambdaLR per step)."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

from _digest import print_digest, seed_everything

WARMUP, TOTAL = 20, 112


class RowTransformer(nn.Module):
    def __init__(self, width=48):
        super().__init__()
        self.embed = nn.Linear(8, width)
        self.position = nn.Parameter(0.02 * torch.randn(8, width))
        layer = nn.TransformerEncoderLayer(
            width, 4, 96, dropout=0.1, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, 2, norm=nn.LayerNorm(width), enable_nested_tensor=False)
        self.head = nn.Linear(width, 10)

    def forward(self, x):  # (B, 8, 8): eight rows are the tokens
        return self.head(self.encoder(self.embed(x) + self.position).mean(1))


def main():
    seed_everything(0)
    digits = load_digits()
    x = torch.tensor(digits.images / 8 - 1, dtype=torch.float32)
    y = torch.tensor(digits.target)
    model = RowTransformer()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / WARMUP, max(0.0, (TOTAL - step) / (TOTAL - WARMUP)))
    )
    step = 0
    while step < TOTAL:
        for batch in torch.randperm(len(x)).split(64)[:28]:
            loss = F.cross_entropy(model(x[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            scheduler.step()
            step += 1
            print("loss", repr(loss.item()))
    print_digest(model)


if __name__ == "__main__":
    main()
