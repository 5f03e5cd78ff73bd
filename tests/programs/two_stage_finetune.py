"""Fine-tuning in two stages: the head alone first, then everything with a second optimizer and a smaller step."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from _digest import print_digest, seed_everything
from _pretrained import pretrained_mlp


class Classifier(nn.Module):
    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        return self.head(self.backbone(x))


def main():
    seed_everything(0)
    x, y = load_digits(return_X_y=True)
    x = (x - x.mean()) / x.std()
    few = y < 5  # the backbone has only ever seen 0-4
    model = Classifier(pretrained_mlp(x[few], y[few], epochs=15)[:-1])
    data = TensorDataset(torch.tensor(x, dtype=torch.float32), torch.tensor(y))
    loader = DataLoader(data, batch_size=64, shuffle=True, drop_last=True)

    model.backbone.requires_grad_(False)
    optimizer = torch.optim.Adam(model.head.parameters(), lr=5e-3)
    for epoch in range(2):
        for x, y in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            print("loss", repr(loss.item()))

    model.backbone.requires_grad_(True)
    optimizer = torch.optim.Adam(
        [{"params": model.backbone.parameters(), "lr": 5e-4}, {"params": model.head.parameters(), "lr": 2e-3}]
    )
    for epoch in range(2):
        for x, y in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            print("loss", repr(loss.item()))
    print_digest(model)


if __name__ == "__main__":
    main()
