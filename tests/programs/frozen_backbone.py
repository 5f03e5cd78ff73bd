"""A frozen convolutional backbone in eval mode (k-means filters, calibrated BatchNorm); the head learns."""

import torch
import torch.nn.functional as F
from sklearn.cluster import MiniBatchKMeans
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from _digest import print_digest, seed_everything

FILTERS = 24


def kmeans_filters(images):
    """Cluster centres of contrast-normalised 3x3 patches, as (FILTERS, 1, 3, 3): Coates and Ng's dictionary."""
    patches = F.unfold(images, 3).transpose(1, 2).reshape(-1, 9)
    patches = patches - patches.mean(1, keepdim=True)
    norm = patches.norm(dim=1, keepdim=True)
    patches = (patches / (norm + 0.1))[norm.squeeze(1) > 0.2]
    centres = MiniBatchKMeans(FILTERS, random_state=0, n_init=1).fit(patches.numpy()).cluster_centers_
    return torch.tensor(centres, dtype=torch.float32).view(FILTERS, 1, 3, 3)


def main():
    seed_everything(0)
    digits = load_digits()
    images = torch.tensor(digits.images / 16, dtype=torch.float32).unsqueeze(1)

    backbone = nn.Sequential(
        nn.Conv2d(1, FILTERS, 3, padding=1, bias=False), nn.BatchNorm2d(FILTERS, momentum=None), nn.ReLU(),
        nn.AvgPool2d(2), nn.Dropout(0.2), nn.Flatten(),
    )  # fmt: skip
    with torch.no_grad():
        backbone[0].weight.copy_(kmeans_filters(images))
        backbone(images)  # train mode: fills the running statistics of the normalisation
    backbone.requires_grad_(False)
    backbone.eval()

    head = nn.Sequential(nn.Linear(FILTERS * 16, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 10))
    optimizer = torch.optim.SGD(head.parameters(), lr=0.05, momentum=0.9)
    loader = DataLoader(TensorDataset(images, torch.tensor(digits.target)), batch_size=64, shuffle=True)
    head.train()
    for epoch in range(3):
        for x, y in loader:
            loss = F.cross_entropy(head(backbone(x)), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            print("loss", repr(loss.item()))
    print_digest(backbone, head)


if __name__ == "__main__":
    main()
