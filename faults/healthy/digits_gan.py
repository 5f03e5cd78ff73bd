"""A small GAN that draws 8x8 digits."""
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

LATENT = 16
EPOCHS = 25
torch.manual_seed(0)

images = torch.tensor(load_digits().data, dtype=torch.float32) / 8 - 1
images = images[torch.randperm(len(images))]
train, held_out = images[:1400], images[1400:]
loader = DataLoader(TensorDataset(train), batch_size=35, shuffle=True)


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(LATENT, 96), nn.LeakyReLU(0.2), nn.Linear(96, 96), nn.LeakyReLU(0.2), nn.Linear(96, 64), nn.Tanh()
        )

    def forward(self, z):
        return self.net(z)


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(64, 96), nn.LeakyReLU(0.2), nn.Dropout(0.3), nn.Linear(96, 48), nn.LeakyReLU(0.2), nn.Linear(48, 1)
        )

    def forward(self, x):
        return self.net(x).squeeze(1)


def covariance_distance(a, b):
    """How far two sets of pictures are apart in the means and covariances of their pixels."""
    return ((a.mean(0) - b.mean(0)).norm() + (a.T.cov() - b.T.cov()).norm()).item()


generator, discriminator = Generator(), Discriminator()
opt_g = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.5, 0.999))
opt_d = torch.optim.Adam(discriminator.parameters(), lr=2e-3, betas=(0.5, 0.999))
bce = nn.BCEWithLogitsLoss()

for epoch in range(1, EPOCHS + 1):
    generator.train()
    discriminator.train()
    for (real,) in loader:
        z = torch.randn(len(real), LATENT)
        fake = generator(z)

        opt_d.zero_grad()
        score_real, score_fake = discriminator(real), discriminator(fake.detach())
        loss_d = bce(score_real, torch.full_like(score_real, 0.9)) + bce(score_fake, torch.zeros_like(score_fake))
        loss_d.backward()
        opt_d.step()

        opt_g.zero_grad()
        score = discriminator(fake)
        loss_g = bce(score, torch.ones_like(score))
        loss_g.backward()
        opt_g.step()

    if epoch % 5 == 0:
        generator.eval()
        with torch.no_grad():
            drawn = generator(torch.randn(400, LATENT))
        gap = covariance_distance(drawn, held_out)
        print(f"epoch {epoch:2d}  D {loss_d.item():.3f}  G {loss_g.item():.3f}  distance to held-out digits {gap:.2f}")
print(f"distance of real to real {covariance_distance(train, held_out):.2f}")
