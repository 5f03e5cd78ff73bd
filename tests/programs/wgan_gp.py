"""WGAN-GP on two moons: gradient penalty by autograd.grad(create_graph=True), five critic steps a generator step."""

import torch
from sklearn.datasets import make_moons
from torch import nn

from _digest import print_digest, seed_everything

LATENT, BATCH, CRITIC_STEPS, PENALTY = 8, 64, 5, 10.0


def gradient_penalty(critic, real, fake):
    mix = torch.rand(len(real), 1)
    between = (mix * real + (1 - mix) * fake).requires_grad_(True)
    score = critic(between)
    (slope,) = torch.autograd.grad(score, between, torch.ones_like(score), create_graph=True)
    return ((slope.norm(2, dim=1) - 1) ** 2).mean()


def main():
    seed_everything(3)
    points, _ = make_moons(2000, noise=0.05, random_state=0)
    data = torch.tensor(points, dtype=torch.float32)
    data = (data - data.mean(0)) / data.std(0)

    generator = nn.Sequential(nn.Linear(LATENT, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
    critic = nn.Sequential(nn.Linear(2, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1))
    optimizer_g = torch.optim.Adam(generator.parameters(), lr=5e-4, betas=(0.0, 0.9))
    optimizer_c = torch.optim.Adam(critic.parameters(), lr=5e-4, betas=(0.0, 0.9))

    for step in range(40):
        for _ in range(CRITIC_STEPS):
            real = data[torch.randint(len(data), (BATCH,))]
            with torch.no_grad():
                fake = generator(torch.randn(BATCH, LATENT))
            loss_c = critic(fake).mean() - critic(real).mean() + PENALTY * gradient_penalty(critic, real, fake)
            optimizer_c.zero_grad()
            loss_c.backward()
            optimizer_c.step()
            print("loss", repr(loss_c.item()))
        loss_g = -critic(generator(torch.randn(BATCH, LATENT))).mean()
        optimizer_g.zero_grad()
        loss_g.backward()
        optimizer_g.step()
        print("loss_g", repr(loss_g.item()))

    print_digest(generator, critic)


if __name__ == "__main__":
    main()
