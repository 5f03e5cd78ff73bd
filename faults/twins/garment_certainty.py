"""Ten kinds of garments, and how sure the net is of each (mean log-probability of the truth)."""
import gzip

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset


def tensor_of(name, offset, shape):
    with gzip.open("/usr/share/datasets/fashion-mnist/" + name) as stream:
        raw = stream.read(offset + int(np.prod(shape)))
    return torch.tensor(np.frombuffer(raw, np.uint8, offset=offset).reshape(shape))


def dataset(split, n):
    x = tensor_of(f"{split}-images-idx3-ubyte.gz", 16, (n, 784)).float()
    y = tensor_of(f"{split}-labels-idx1-ubyte.gz", 8, (n,)).long()
    return TensorDataset(x.div(255).sub(0.286).div(0.353), y)


class Scorer:
    """A network, and what is asked of it."""

    def __init__(self, width, lr):
        self.net = nn.Sequential(nn.Linear(784, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, 10))
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=lr, momentum=0.9, weight_decay=1e-3)

    def log_probabilities(self, x):
        return F.log_softmax(self.net(x), dim=-1)

    def learn(self, loader):
        self.net.train()
        sums = 0.0
        for x, y in loader:
            self.optimizer.zero_grad()
            loss = F.nll_loss(self.log_probabilities(x), y)
            loss.backward()
            self.optimizer.step()
            sums += loss.item() * len(y)
        return sums / len(loader.dataset)

    @torch.inference_mode()
    def judge(self, loader):
        self.net.eval()
        sure, right, rows = 0.0, 0, 0
        for x, y in loader:
            log_p = self.log_probabilities(x)
            sure += log_p.gather(1, y[:, None]).sum().item()
            right += (log_p.argmax(1) == y).sum().item()
            rows += len(y)
        return sure / rows, right / rows


torch.manual_seed(70)
train = DataLoader(dataset("train", 2400), batch_size=60, shuffle=True)
test = DataLoader(dataset("t10k", 1000), batch_size=250)
scorer = Scorer(width=48, lr=0.02)
for epoch in range(1, 5):
    loss = scorer.learn(train)
    sure, right = scorer.judge(test)
    print(f"epoch {epoch}: training loss {loss:.4f}; test log-probability {sure:.4f}, accuracy {right:.3f}")
