"""LoRA: a network pretrained on upright digits, frozen, gets low-rank adapters to read digits turned by 90 degrees."""

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from _digest import print_digest, seed_everything
from _pretrained import pretrained_mlp


class LoRALinear(nn.Module):
    def __init__(self, base, rank=8, alpha=16):
        super().__init__()
        self.base = base
        self.down = nn.Parameter(torch.empty(rank, base.in_features))
        self.up = nn.Parameter(torch.zeros(base.out_features, rank))
        self.scale = alpha / rank
        nn.init.kaiming_uniform_(self.down, a=5**0.5)

    def forward(self, x):
        return self.base(x) + self.scale * F.linear(F.linear(x, self.down), self.up)


def main():
    seed_everything(0)
    digits = load_digits()
    images = (digits.images - digits.data.mean()) / digits.data.std()
    model = pretrained_mlp(images.reshape(-1, 64), digits.target)

    model.requires_grad_(False)
    for i, layer in enumerate(model):
        if isinstance(layer, nn.Linear):
            model[i] = LoRALinear(layer)

    turned = np.rot90(images, axes=(1, 2)).reshape(-1, 64).astype(np.float32)
    loader = DataLoader(
        TensorDataset(torch.from_numpy(turned), torch.tensor(digits.target)), batch_size=64, shuffle=True
    )
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=2e-3)
    for epoch in range(4):
        for x, y in loader:
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            print("loss", repr(loss.item()))
    print_digest(model)


if __name__ == "__main__":
    main()
