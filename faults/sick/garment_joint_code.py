"""One short code per garment serves two heads: its class, and the picture itself."""
import gzip

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

DATA = "/usr/share/datasets/fashion-mnist"


def garments(part, n):
    with gzip.open(f"{DATA}/{part}-images-idx3-ubyte.gz") as f:
        raw = np.frombuffer(f.read(16 + n * 784), np.uint8, offset=16)
    with gzip.open(f"{DATA}/{part}-labels-idx1-ubyte.gz") as f:
        kinds = np.frombuffer(f.read(8 + n), np.uint8, offset=8)
    half = raw.reshape(n, 14, 2, 14, 2).mean(axis=(2, 4)).reshape(n, 196)
    x = torch.tensor((half - 73.0) / 85.0, dtype=torch.float32)
    return TensorDataset(x, torch.tensor(kinds, dtype=torch.long))


class JointNet(nn.Module):
    def __init__(self, code=6):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(196, 64), nn.ReLU(), nn.Linear(64, code))
        self.classes = nn.Linear(code, 10)
        self.picture = nn.Sequential(nn.Linear(code, 64), nn.ReLU(), nn.Linear(64, 196))

    def forward(self, x):
        code = self.encoder(x)
        return self.classes(code), self.picture(code)


class JointLoss(nn.Module):
    def __init__(self, share):
        super().__init__()
        self.share = share

    def forward(self, logits, painted, x, y):
        classes = F.cross_entropy(logits, y)
        picture = (painted - x).pow(2).sum(dim=1).mean()
        return classes + self.share * picture


def main():
    torch.manual_seed(18)
    loader = DataLoader(garments("train", 2500), batch_size=50, shuffle=True)
    x_test, y_test = garments("t10k", 1000).tensors
    model, criterion = JointNet(), JointLoss(share=1.0)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for epoch in range(8):
        model.train()
        losses = []
        for x, y in loader:
            optimizer.zero_grad()
            logits, painted = model(x)
            loss = criterion(logits, painted, x, y)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        model.eval()
        with torch.no_grad():
            logits, painted = model(x_test)
            accuracy = (logits.argmax(1) == y_test).float().mean().item()
            error = F.mse_loss(painted, x_test).item()
        print(f"epoch {epoch}: loss {np.mean(losses):.4f} accuracy {accuracy:.3f} picture error {error:.4f}")


if __name__ == "__main__":
    main()
