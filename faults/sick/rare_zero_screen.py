import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.metrics import average_precision_score

torch.manual_seed(19)
rng = np.random.default_rng(19)
pixels, digits = load_digits(return_X_y=True)

# an archive in which zeros are rare: 60 of them among the other digits
zeros = rng.permutation(np.flatnonzero(digits == 0))[:60]
rest = np.flatnonzero(digits != 0)
rows = rng.permutation(np.concatenate([zeros, rest]))
split = int(0.7 * len(rows))
train, test = rows[:split], rows[split:]

pixels = (pixels - pixels[train].mean()) / pixels[train].std()
x = torch.tensor(pixels, dtype=torch.float32)
y = torch.tensor(digits == 0, dtype=torch.float32)
rate = y[train].mean()
prior = torch.tensor(0.001)

net = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.Tanh(), torch.nn.Linear(32, 1))
torch.nn.init.constant_(net[2].bias, torch.logit(prior).item())
optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
print(f"{len(train)} digits, {100 * rate:.1f} % zeros")

for epoch in range(8):
    net.train()
    losses = []
    for idx in np.array_split(rng.permutation(train), 36):
        logits = net(x[idx]).squeeze(1)
        loss = F.binary_cross_entropy_with_logits(logits, y[idx])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    net.eval()
    with torch.no_grad():
        scores = net(x[test]).squeeze(1)
        test_loss = F.binary_cross_entropy_with_logits(scores, y[test]).item()
    ap = average_precision_score(y[test], scores)
    print(f"epoch {epoch + 1} train {np.mean(losses):.4f} test {test_loss:.4f} average precision {ap:.3f}")
