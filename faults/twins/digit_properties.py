# Four yes-or-no properties of a handwritten digit at once: even, at least five, prime, written with a closed loop.
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, TensorDataset

PROPERTIES = {"even": {0, 2, 4, 6, 8}, "high": {5, 6, 7, 8, 9}, "prime": {2, 3, 5, 7}, "loop": {0, 6, 8, 9}}


class PropertyLoss(nn.Module):
    """Binary cross-entropy, each property weighted the same, rare answers a little more."""

    def __init__(self, shares, softness=0.5):
        super().__init__()
        self.register_buffer("yes", (0.5 / shares) ** softness)
        self.register_buffer("no", (0.5 / (1 - shares)) ** softness)

    @staticmethod
    def probability(score):
        return score.sigmoid()

    def forward(self, scores, tags):
        weight = torch.where(tags > 0, self.yes, self.no)
        return F.binary_cross_entropy(self.probability(scores), tags, weight=weight)


class Tower(nn.Module):
    def __init__(self, sizes=(64, 64, 32)):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:]))
        self.tags = nn.Linear(sizes[-1], len(PROPERTIES))
        nn.init.constant_(self.tags.bias, 0.5)

    def forward(self, x):
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.1)
        return self.tags(x)


def data(seed):
    X, y = load_digits(return_X_y=True)
    tags = torch.tensor([[float(d in digits) for digits in PROPERTIES.values()] for d in y])
    X_fit, X_test, t_fit, t_test = train_test_split(X, tags, test_size=450, random_state=seed, stratify=y)
    mean, std = X_fit.mean(), X_fit.std()
    scale = lambda a: torch.tensor((a - mean) / std, dtype=torch.float32)
    return TensorDataset(scale(X_fit), t_fit), scale(X_test), t_test


def main(seed=47):
    torch.manual_seed(seed)
    fit, x_test, t_test = data(seed)
    loader = DataLoader(fit, batch_size=32, shuffle=True)
    model = Tower()
    criterion = PropertyLoss(fit.tensors[1].mean(0))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9)
    for epoch in range(1, 7):
        model.train()
        losses = []
        for x, tags in loader:
            optimizer.zero_grad()
            loss = criterion(model(x), tags)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 10.0)
            optimizer.step()
            losses.append(loss.item())
        model.eval()
        with torch.no_grad():
            right = ((criterion.probability(model(x_test)) > 0.5) == (t_test > 0.5)).float().mean(0)
        told = " ".join(f"{name} {share:.3f}" for name, share in zip(PROPERTIES, right.tolist()))
        print(f"epoch {epoch}: loss {sum(losses) / len(losses):.4f} | {told} | all {right.mean():.4f}")


if __name__ == "__main__":
    main()
