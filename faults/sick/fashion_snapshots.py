"""Snapshot ensemble (Huang et al. 2017): one net, a cyclic learning rate, the weights at the end of each later cycle."""
import gzip
import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


def read(kind, n):
    path = f"/usr/share/datasets/fashion-mnist/{kind}"
    with gzip.open(f"{path}-images-idx3-ubyte.gz") as f:
        x = np.frombuffer(f.read(16 + n * 784), np.uint8, offset=16).reshape(n, 784)
    with gzip.open(f"{path}-labels-idx1-ubyte.gz") as f:
        y = np.frombuffer(f.read(8 + n), np.uint8, offset=8)
    return (torch.tensor(x, dtype=torch.float32) / 255 - 0.286) / 0.353, torch.tensor(y, dtype=torch.long)


def build():
    return nn.Sequential(nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10))


class SnapshotEnsemble:
    def __init__(self, cycles=4, epochs_a_cycle=2, peak=0.25, batch=50):
        self.net, self.snapshots = build(), []
        self.cycles, self.epochs, self.peak, self.batch = cycles, epochs_a_cycle, peak, batch

    def rate(self, step, steps):
        return self.peak / 2 * (1 + math.cos(math.pi * step / steps))

    def snapshot(self):
        weights = self.net.state_dict()
        return {name: value for name, value in weights.items()}

    def fit(self, x, y, report):
        optimizer = torch.optim.SGD(self.net.parameters(), lr=self.peak, weight_decay=1e-3)
        steps = self.epochs * math.ceil(len(x) / self.batch)
        for cycle in range(self.cycles):
            self.net.train()
            step, total = 0, 0.0
            for _ in range(self.epochs):
                for rows in torch.randperm(len(x)).split(self.batch):
                    optimizer.param_groups[0]["lr"] = self.rate(step, steps)
                    optimizer.zero_grad()
                    loss = F.cross_entropy(self.net(x[rows]), y[rows])
                    loss.backward()
                    optimizer.step()
                    step, total = step + 1, total + loss.item()
            if cycle > 0:
                self.snapshots.append(self.snapshot())
            print(f"cycle {cycle + 1}: loss {total / steps:.4f}, accuracy {report(self.net):.4f}")

    @torch.no_grad()
    def members(self, x):
        """Probabilities of every member; (members, rows, classes)."""
        answers = []
        for state in self.snapshots:
            member = build()
            member.load_state_dict(state)
            member.eval()
            answers.append(member(x).softmax(dim=1))
        return torch.stack(answers)


torch.manual_seed(99)
x_train, y_train = read("train", 1500)
x_test, y_test = read("t10k", 2000)


def accuracy(scores):
    """Share of test pictures whose highest score is the right one's."""
    return (scores.argmax(1) == y_test).float().mean().item()


@torch.no_grad()
def test_accuracy(net):
    net.eval()
    return accuracy(net(x_test))


ensemble = SnapshotEnsemble()
ensemble.fit(x_train, y_train, test_accuracy)
each = ensemble.members(x_test)
print("members", [round(accuracy(p), 4) for p in each])
print(f"together {accuracy(each.mean(0)):.4f}")
