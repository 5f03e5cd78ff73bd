"""A GAN on a ring of eight Gaussians: two models, two optimizers, fakes detached for the discriminator."""

import math

import torch
from torch import nn

from _digest import print_digest, seed_everything

LATENT, BATCH = 16, 128


def real_batch():
    angle = torch.randint(8, (BATCH,)) * (2 * math.pi / 8)
    return torch.stack([angle.cos(), angle.sin()], dim=1) + 0.05 * torch.randn(BATCH, 2)


seed_everything(0)
generator = nn.Sequential(nn.Linear(LATENT, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
discriminator = nn.Sequential(
    nn.Linear(2, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1)
)
criterion = nn.BCEWithLogitsLoss()
optimizer_g = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.5, 0.999))
optimizer_d = torch.optim.Adam(discriminator.parameters(), lr=1e-3, betas=(0.5, 0.999))
ones, zeros = torch.ones(BATCH, 1), torch.zeros(BATCH, 1)

for step in range(200):
    # discriminator: real against fake
    optimizer_d.zero_grad()
    real = real_batch()
    fake = generator(torch.randn(BATCH, LATENT))
    loss_real = criterion(discriminator(real), ones)
    loss_real.backward()
    loss_fake = criterion(discriminator(fake.detach()), zeros)
    loss_fake.backward()
    optimizer_d.step()

    # generator: the same fakes should pass for real
    optimizer_g.zero_grad()
    loss_g = criterion(discriminator(fake), ones)
    loss_g.backward()
    optimizer_g.step()
    print("loss", repr((loss_real + loss_fake).item()), repr(loss_g.item()))

print_digest(generator, discriminator)
