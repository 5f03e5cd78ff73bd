"""Remove noise from scanned digits; autocast, one term of a larger objective."""
import argparse

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split


class Denoiser(nn.Module):
    def __init__(self, size=64, width=64, code=24):
        super().__init__()
        self.down = nn.Sequential(nn.Linear(size, width), nn.ReLU(), nn.Linear(width, code), nn.ReLU())
        self.up = nn.Sequential(nn.Linear(code, width), nn.ReLU(), nn.Linear(width, size))

    def forward(self, x):
        return self.up(self.down(x))


def half_precision():
    return torch.autocast("cpu", dtype=torch.float16)


def denoising_loss(model, noisy, clean, weight):
    with half_precision():
        restored = model(noisy)
    return weight * nn.functional.mse_loss(restored.float(), clean)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--weight", type=float, default=1e-4, help="share of this term in the objective")
    parser.add_argument("--epochs", type=int, default=10)
    args = parser.parse_args()

    torch.manual_seed(82)
    clean = torch.tensor(load_digits().data, dtype=torch.float32).sub(4.884).div(6.017)
    pairs = TensorDataset(clean + 0.3 * torch.randn_like(clean), clean)
    train_set, val_set = random_split(pairs, [1400, 397])
    train_loader = DataLoader(train_set, batch_size=64, shuffle=True)
    val_loader = DataLoader(val_set, batch_size=397)
    model = Denoiser()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

    for epoch in range(args.epochs):
        model.train()
        total = 0.0
        for noisy, original in train_loader:
            loss = denoising_loss(model, noisy, original, args.weight)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        model.eval()
        with torch.no_grad():
            val = sum(denoising_loss(model, a, b, 1.0).item() for a, b in val_loader)
        print(f"epoch {epoch}: train mse {total / len(train_loader) / args.weight:.4f}, val mse {val:.4f}")


if __name__ == "__main__":
    main()
