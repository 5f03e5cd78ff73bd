"""Two DataLoader workers with random augmentation inside the dataset; everything under the main guard."""

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, Dataset

from _digest import print_digest, seed_everything


class ShiftedDigits(Dataset):
    def __init__(self):
        digits = load_digits()
        self.images = (digits.images / 16.0).astype(np.float32)
        self.labels = digits.target

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        image = F.pad(torch.from_numpy(self.images[i]), (1, 1, 1, 1))
        top, left = torch.randint(3, (2,)).tolist()
        return (image[top : top + 8, left : left + 8].unsqueeze(0) - 0.3) / 0.38, self.labels[i]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.drop = nn.Dropout(0.1)
        self.fc = nn.Linear(32 * 4, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc(self.drop(x.flatten(1)))


def main():
    seed_everything(0)
    loader = DataLoader(ShiftedDigits(), batch_size=64, shuffle=True, num_workers=2, drop_last=True)
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for epoch in range(3):
        for x, y in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            print("loss", repr(loss.item()))
    print_digest(model)


if __name__ == "__main__":
    main()
