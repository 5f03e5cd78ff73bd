"""A small GAN that draws 8x8 digits."""
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(51)

images, _ = load_digits(return_X_y=True)
real = torch.tensor(images / 8 - 1, dtype=torch.float32)
loader = DataLoader(TensorDataset(real), batch_size=64, shuffle=True, drop_last=True)

generator = nn.Sequential(
    nn.Linear(16, 96), nn.BatchNorm1d(96), nn.ReLU(),
    nn.Linear(96, 96), nn.BatchNorm1d(96), nn.ReLU(),
    nn.Linear(96, 64), nn.Tanh(),
)
critic = nn.Sequential(nn.Linear(64, 96), nn.LeakyReLU(0.2), nn.Linear(96, 48), nn.LeakyReLU(0.2), nn.Linear(48, 1))
opt_g = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.5, 0.999))
opt_c = torch.optim.Adam(critic.parameters(), lr=5e-4, betas=(0.5, 0.999))
fixed_noise = torch.randn(500, 16)


def distance(a, b):
    """Energy distance between two samples of rows."""
    return (2 * torch.cdist(a, b).mean() - torch.cdist(a, a).mean() - torch.cdist(b, b).mean()).item()


for epoch in range(15):
    generator.train()
    sum_c, sum_g = 0.0, 0.0
    for (batch,) in loader:
        ones, zeros = torch.ones(len(batch), 1), torch.zeros(len(batch), 1)

        fake = generator(torch.randn(len(batch), 16))
        loss_c = F.binary_cross_entropy_with_logits(critic(batch), 0.9 * ones)
        loss_c = loss_c + F.binary_cross_entropy_with_logits(critic(fake.detach()), zeros)
        opt_c.zero_grad()
        loss_c.backward()
        opt_c.step()

        loss_g = F.binary_cross_entropy_with_logits(critic(fake), ones)
        opt_g.zero_grad()
        loss_g.backward()
        opt_c.step()

        sum_c += loss_c.item()
        sum_g += loss_g.item()
    generator.eval()
    with torch.no_grad():
        away = distance(generator(fixed_noise), real[:500])
    n = len(loader)
    print(f"epoch {epoch:2d}  critic {sum_c / n:.3f}  generator {sum_g / n:.3f}  energy distance {away:.3f}")
