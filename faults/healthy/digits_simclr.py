"""SimCLR on small digits: two shifted, noisy views of each picture attract, all others repel."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression


def augment(x):
    """Shift by up to one pixel, scale the ink, add noise; x: (rows, 8, 8)."""
    dy, dx = torch.randint(-1, 2, (2,)).tolist()
    x = torch.roll(F.pad(x, (1, 1, 1, 1), value=-1.0), (dy, dx), (1, 2))[:, 1:-1, 1:-1]
    ink = 0.8 + 0.4 * torch.rand(len(x), 1, 1)
    return (x + 1) * ink - 1 + 0.1 * torch.randn_like(x)


class Encoder(nn.Module):
    def __init__(self, features=48, projected=24):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, features))
        self.projector = nn.Sequential(nn.ReLU(), nn.Linear(features, features), nn.ReLU(), nn.Linear(features, projected))

    def forward(self, x):
        h = self.body(x)
        return h, F.normalize(self.projector(h), dim=1)


def nt_xent(a, b, temperature=0.3):
    z = torch.cat([a, b])
    similarity = z @ z.T / temperature
    similarity = similarity.masked_fill(torch.eye(len(z), dtype=torch.bool), -1e9)
    n = len(a)
    partner = torch.cat([torch.arange(n, 2 * n), torch.arange(n)])
    return F.cross_entropy(similarity, partner)


def probe(encoder, x, y, x_test, y_test):
    """Accuracy of a linear classifier on the features, from 200 labels."""
    encoder.eval()
    with torch.no_grad():
        h, h_test = encoder(x[:200])[0], encoder(x_test)[0]
    return LogisticRegression(max_iter=300).fit(h, y[:200]).score(h_test, y_test)


def main():
    torch.manual_seed(7)
    digits = load_digits()
    x = torch.tensor(digits.images, dtype=torch.float32) / 8 - 1
    y = torch.tensor(digits.target)
    order = torch.randperm(len(x))
    x, y = x[order], y[order]
    x_test, y_test, x, y = x[1300:], y[1300:], x[:1300], y[:1300]
    encoder = Encoder()
    optimizer = torch.optim.Adam(encoder.parameters(), lr=2e-3)
    print(f"before: linear probe {probe(encoder, x, y, x_test, y_test):.3f}")
    for epoch in range(12):
        encoder.train()
        losses = []
        for rows in torch.randperm(len(x)).split(130):
            loss = nt_xent(encoder(augment(x[rows]))[1], encoder(augment(x[rows]))[1])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        if epoch % 3 == 2:
            score = probe(encoder, x, y, x_test, y_test)
            print(f"epoch {epoch + 1:2d}: contrastive loss {sum(losses) / len(losses):.3f}, linear probe {score:.3f}")


if __name__ == "__main__":
    main()
