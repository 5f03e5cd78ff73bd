"""A VAE on digits: summed cross-entropy plus KL, both divided by the batch size; Adam."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader

from _digest import print_digest, seed_everything


class VAE(nn.Module):
    def __init__(self, hidden=96, latent=8):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, hidden), nn.ReLU())
        self.mean = nn.Linear(hidden, latent)
        self.log_var = nn.Linear(hidden, latent)
        self.decoder = nn.Sequential(nn.Linear(latent, hidden), nn.ReLU(), nn.Linear(hidden, 64))

    def forward(self, x):
        h = self.encoder(x)
        mean, log_var = self.mean(h), self.log_var(h)
        z = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)
        return self.decoder(z), mean, log_var


seed_everything(0)
data = torch.tensor(load_digits().data / 16, dtype=torch.float32)
loader = DataLoader(data, batch_size=64, shuffle=True, drop_last=True)

model = VAE()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(6):
    for x in loader:
        optimizer.zero_grad()
        logits, mean, log_var = model(x)
        reconstruction = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
        divergence = -0.5 * (1 + log_var - mean.pow(2) - log_var.exp()).sum()
        loss = (reconstruction + divergence) / len(x)
        loss.backward()
        optimizer.step()
        print("loss", repr(loss.item()))

print_digest(model)
