"""An embedding of digits learnt with triplets; new pictures are named by their nearest neighbours."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

MARGIN = 0.5


class Embedder(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 24, 3, padding=1)
        self.fc = nn.Linear(24 * 4, 16)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return F.normalize(self.fc(x.flatten(1)), dim=1)


def draw(by_class, count):
    """Anchors, others of the same digit, and pictures of other digits."""
    first = torch.randint(len(by_class), (count,))
    other = (first + torch.randint(1, len(by_class), (count,))) % len(by_class)
    pick = lambda cls: torch.stack([by_class[c][torch.randint(len(by_class[c]), ())] for c in cls.tolist()])
    return pick(first), pick(first), pick(other)


def neighbours(net):
    """Accuracy of the nearest training picture's digit."""
    net.eval()
    with torch.no_grad():
        known, new = net(x[train]).numpy(), net(x[test]).numpy()
    return KNeighborsClassifier(1).fit(known, y[train]).score(new, y[test])


torch.manual_seed(37)
digits = load_digits()
x = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1)
y = torch.tensor(digits.target)
order = torch.randperm(len(y))
train, test = order[:1200], order[1200:]
x = (x - x[train].mean()) / x[train].std()
by_class = [x[train][y[train] == c] for c in range(10)]
test_triplets = [x[test][y[test] == c] for c in range(10)]

net = Embedder()
criterion = nn.TripletMarginLoss(margin=MARGIN)
optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
for block in range(1, 6):
    net.train()
    losses = []
    for _ in range(20):
        anchor, positive, negative = draw(by_class, 64)
        loss = criterion(net(anchor), net(positive), net(negative))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    net.eval()
    with torch.no_grad():
        a, p, n = (net(part) for part in draw(test_triplets, 300))
    closer = ((a - p).norm(dim=1) < (a - n).norm(dim=1)).float().mean().item()
    print(f"{block * 20} steps: loss {sum(losses) / 20:.4f}, held out: nearer to its own {closer:.3f}, 1-NN {neighbours(net):.3f}")
