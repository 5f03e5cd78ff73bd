"""Denoising diffusion on 8x8 digits: learn to predict the noise, then draw."""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

STEPS = 40
betas = torch.linspace(1e-3, 0.3, STEPS)
alphas = 1 - betas
alpha_bar = torch.cumprod(alphas, 0)


class Denoiser(nn.Module):
    def __init__(self, width=160, time_dim=32):
        super().__init__()
        self.register_buffer("freqs", torch.exp(-math.log(1000) * torch.arange(time_dim // 2) / (time_dim // 2)))
        self.time = nn.Sequential(nn.Linear(time_dim, width), nn.SiLU(), nn.Linear(width, width))
        self.inp = nn.Linear(64, width)
        self.mid = nn.Linear(width, width)
        self.out = nn.Linear(width, 64)

    def forward(self, x, t):
        angles = t[:, None].float() * self.freqs[None]
        emb = self.time(torch.cat([angles.sin(), angles.cos()], dim=1))
        h = F.silu(self.inp(x) + emb)
        h = h + F.silu(self.mid(h) + emb)
        return self.out(h)


def diffuse(x0, t):
    noise = torch.randn_like(x0)
    a = alpha_bar[t][:, None]
    return a.sqrt() * x0 + (1 - a).sqrt() * noise, noise


@torch.no_grad()
def sample(model, n):
    model.eval()
    x = torch.randn(n, 64)
    for t in reversed(range(STEPS)):
        eps = model(x, torch.full((n,), t))
        x = (x - betas[t] / (1 - alpha_bar[t]).sqrt() * eps) / alphas[t].sqrt()
        if t > 0:
            x = x + betas[t].sqrt() * torch.randn_like(x)
    return x


torch.manual_seed(21)
x = torch.tensor(load_digits().data, dtype=torch.float32) / 8 - 1
x = x[torch.randperm(len(x))]
x_train, x_val = x[:1500], x[1500:]
model = Denoiser()
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
t_val = torch.arange(len(x_val)) % STEPS
noisy_val, noise_val = diffuse(x_val, t_val)

for epoch in range(14):
    model.train()
    total = 0.0
    for rows in torch.randperm(len(x_train)).split(75):
        t = torch.randint(0, STEPS, (len(rows),))
        noisy, noise = diffuse(x_train[rows], t)
        loss = F.mse_loss(model(noisy, t), noise)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        total += loss.item() * len(rows)
    if epoch % 2 == 1:
        model.eval()
        with torch.no_grad():
            val = F.mse_loss(model(noisy_val, t_val), noise_val).item()
        print(f"epoch {epoch + 1}: train {total / len(x_train):.4f} validation {val:.4f} (predicting nothing: 1.0)")

drawn = sample(model, 300)
print(f"mean pixel of drawn digits {drawn.mean():.3f}, of real ones {x_val.mean():.3f}")
print(f"distance of pixel means {(drawn.mean(0) - x_val.mean(0)).norm():.3f}")
