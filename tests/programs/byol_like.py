"""BYOL in small: an online network predicts an averaged teacher (deepcopy, EMA); targets are cut off by detach."""

import copy

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader

from _digest import print_digest, seed_everything


def mlp(inputs, hidden, outputs):
    return nn.Sequential(
        nn.Linear(inputs, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, outputs)
    )


def view(x):
    """A random brightness, a little noise, and a tenth of the pixels hidden."""
    x = x * (0.8 + 0.4 * torch.rand(len(x), 1)) + 0.1 * torch.randn_like(x)
    return x * (torch.rand_like(x) > 0.1)


def distance(prediction, target):
    return 2 - 2 * F.cosine_similarity(prediction, target.detach(), dim=1).mean()


def main():
    seed_everything(0)
    digits = load_digits().data
    data = torch.tensor((digits - digits.mean()) / digits.std(), dtype=torch.float32)
    loader = DataLoader(data, batch_size=128, shuffle=True, drop_last=True)

    encoder = mlp(64, 128, 32)
    predictor = mlp(32, 64, 32)
    teacher = copy.deepcopy(encoder)
    optimizer = torch.optim.AdamW([*encoder.parameters(), *predictor.parameters()], lr=2e-3)

    for epoch in range(8):
        for x in loader:
            a, b = view(x), view(x)
            loss = distance(predictor(encoder(a)), teacher(b)) + distance(predictor(encoder(b)), teacher(a))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                for slow, fast in zip(teacher.parameters(), encoder.parameters()):
                    slow.mul_(0.98).add_(fast, alpha=0.02)
            print("loss", repr(loss.item()))

    encoder.eval()
    with torch.no_grad():
        print("spread", repr(F.normalize(encoder(data), dim=1).std(0).mean().item()))
    print_digest(encoder, predictor, teacher)


if __name__ == "__main__":
    main()
