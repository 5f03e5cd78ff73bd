"""Two handwritten digits side by side: which of the ten figures are in the picture?"""
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

torch.manual_seed(26)
bunch = load_digits()
single = torch.tensor(bunch.images / 6 - 0.8, dtype=torch.float32)
figure = torch.tensor(bunch.target)
order = torch.randperm(len(single))


def compose(rows, n):
    """n pictures of 8x16 pixels, made of two of the given digits, and (n, 10) zeros and ones."""
    left, right = rows[torch.randint(len(rows), (2, n))]
    pictures = torch.cat([single[left], single[right]], dim=2).flatten(1)
    present = F.one_hot(figure[left], 10) | F.one_hot(figure[right], 10)
    return pictures, present.float()


x_train, present_train = compose(order[:1300], 4000)
x_test, present_test = compose(order[1300:], 1000)
x = torch.cat([x_train, x_test])
there = torch.cat([present_train, present_test])
test = slice(4000, 5000)

net = nn.Sequential(nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10))
optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)

for epoch in range(8):
    net.train()
    loss_sum = 0.0
    for batch in torch.randperm(4000).split(50):
        logits, present = net(x[batch]), there[batch]
        loss = F.cross_entropy(logits, present / present.sum(dim=1, keepdim=True))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss_sum += loss.item() * len(batch)
    net.eval()
    with torch.no_grad():
        found = net(x[test]).softmax(dim=1) > 0.5
    exact = (found == there[test].bool()).all(dim=1).float().mean().item()
    recall = (found & there[test].bool()).sum().item() / there[test].sum().item()
    print(f"epoch {epoch + 1}: loss {loss_sum / 4000:.4f}, all right {exact:.3f}, found {recall:.3f}")
