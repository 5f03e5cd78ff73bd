"""A denoising diffusion model of two moons: predict the noise at a random time, then draw a few samples."""

import torch
from sklearn.datasets import make_moons
from torch import nn

from _digest import print_digest, seed_everything

STEPS = 50


class Denoiser(nn.Module):
    def __init__(self, width=96):
        super().__init__()
        self.time = nn.Embedding(STEPS, width)
        self.inp = nn.Linear(2, width)
        self.body = nn.Sequential(nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.out = nn.Linear(width, 2)

    def forward(self, x, t):
        return self.out(self.body(self.inp(x) + self.time(t)))


def main():
    seed_everything(0)
    points = torch.tensor(make_moons(2000, noise=0.04, random_state=0)[0], dtype=torch.float32)
    points = (points - points.mean(0)) / points.std(0)
    beta = torch.linspace(1e-3, 0.15, STEPS)
    kept = torch.cumprod(1 - beta, dim=0)  # share of the signal's variance left at each time

    model = Denoiser()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(250):
        x = points[torch.randint(len(points), (256,))]
        t = torch.randint(STEPS, (256,))
        noise = torch.randn_like(x)
        noisy = kept[t].sqrt().unsqueeze(1) * x + (1 - kept[t]).sqrt().unsqueeze(1) * noise
        loss = nn.functional.mse_loss(model(noisy, t), noise)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print("loss", repr(loss.item()))

    model.eval()
    with torch.no_grad():
        x = torch.randn(200, 2)
        for t in reversed(range(STEPS)):
            noise = model(x, torch.full((200,), t))
            x = (x - beta[t] / (1 - kept[t]).sqrt() * noise) / (1 - beta[t]).sqrt()
            if t:
                x = x + beta[t].sqrt() * torch.randn_like(x)
        print("distance to data", repr(torch.cdist(x, points).min(1).values.mean().item()))
    print_digest(model)


if __name__ == "__main__":
    main()
