import argparse

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn, optim
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser(description="VAE on the 8x8 digits")
parser.add_argument("--batch-size", type=int, default=50)
parser.add_argument("--epochs", type=int, default=10)
parser.add_argument("--latent", type=int, default=6)
parser.add_argument("--seed", type=int, default=1)
args = parser.parse_args()


class VAE(nn.Module):
    def __init__(self, latent):
        super().__init__()
        self.fc1 = nn.Linear(64, 80)
        self.fc21 = nn.Linear(80, latent)
        self.fc22 = nn.Linear(80, latent)
        self.fc3 = nn.Linear(latent, 80)
        self.fc4 = nn.Linear(80, 64)

    def encode(self, x):
        h = F.relu(self.fc1(x))
        return self.fc21(h), self.fc22(h)

    def reparameterize(self, mu, logvar):
        return mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)

    def decode(self, z):
        return self.fc4(F.relu(self.fc3(z)))

    def forward(self, x):
        mu, logvar = self.encode(x)
        return self.decode(self.reparameterize(mu, logvar)), mu, logvar


def negative_elbo(logits, x, mu, logvar):
    """Reconstruction plus KL divergence, in nats a picture."""
    bce = F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1)
    kld = -0.5 * (1 + logvar - mu.pow(2) - logvar.exp()).sum(1)
    return (bce + kld).mean()


def train(model, loader, optimizer):
    model.train()
    total = 0.0
    for (x,) in loader:
        optimizer.zero_grad()
        loss = negative_elbo(*forward_args(model, x))
        loss.backward()
        optimizer.step()
        total += loss.item() * len(x)
    return total / len(loader.dataset)


def forward_args(model, x):
    logits, mu, logvar = model(x)
    return logits, x, mu, logvar


@torch.no_grad()
def test(model, x):
    model.eval()
    return negative_elbo(*forward_args(model, x)).item()


if __name__ == "__main__":
    torch.manual_seed(args.seed)
    images = torch.tensor(load_digits().data, dtype=torch.float32) / 16
    images = images[torch.randperm(len(images))]
    train_loader = DataLoader(TensorDataset(images[:1400]), batch_size=args.batch_size, shuffle=True)
    model = VAE(args.latent)
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    for epoch in range(1, args.epochs + 1):
        train_loss = train(model, train_loader, optimizer)
        print(f"====> Epoch: {epoch} train {train_loss:.3f} test {test(model, images[1400:]):.3f} nats")
