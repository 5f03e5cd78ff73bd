import argparse
import gzip

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Classifier(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(1, 8, 5, stride=2), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2), nn.ReLU(), nn.Flatten()
        )
        self.head = nn.Linear(400, n_classes)

    def forward(self, x):
        return self.head(self.backbone(x))


def get_data(folder, part, rows):
    with gzip.open(f"{folder}/{part}-images-idx3-ubyte.gz") as f:
        x = np.frombuffer(f.read(16 + 784 * rows), np.uint8, offset=16).astype(np.float32)
    with gzip.open(f"{folder}/{part}-labels-idx1-ubyte.gz") as f:
        y = np.frombuffer(f.read(8 + rows), np.uint8, offset=8).astype(np.int64)
    x = (x.reshape(rows, 1, 28, 28) / 255 - 0.286) / 0.353
    return torch.from_numpy(x), torch.from_numpy(y)


def train(model, optimizer, data, test, epochs, batch_size):
    loader = DataLoader(TensorDataset(*data), batch_size=batch_size, shuffle=True)
    loss_fn = nn.CrossEntropyLoss()
    for epoch in range(1, epochs + 1):
        model.train()
        mean_loss = 0.0
        for xb, yb in loader:
            optimizer.zero_grad(set_to_none=True)
            loss = loss_fn(model(xb), yb)
            loss.backward()
            optimizer.step()
            mean_loss += loss.item() / len(loader)
        model.eval()
        with torch.no_grad():
            acc = (model(test[0]).argmax(-1) == test[1]).float().mean()
        print(f"epoch {epoch}: loss {mean_loss:.3f} acc {acc:.3f}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", default="/usr/share/datasets/fashion-mnist")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--batch-size", type=int, default=40)
    parser.add_argument("--lr", type=float, default=0.02)
    args = parser.parse_args()

    torch.manual_seed(21)
    x, y = get_data(args.data, "train", 2000)
    xt, yt = get_data(args.data, "t10k", 1000)

    print("ten classes")
    model = Classifier(10)
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9)
    train(model, optimizer, (x, y), (xt, yt), args.epochs, args.batch_size)

    print("footwear or not")
    model.head = nn.Linear(400, 2)
    for p in model.backbone.parameters():
        p.requires_grad_(False)
    optimizer = torch.optim.SGD(model.backbone.parameters(), lr=args.lr / 4, momentum=0.9)
    shoes = torch.tensor([5, 7, 9])
    train(model, optimizer, (x, torch.isin(y, shoes).long()), (xt, torch.isin(yt, shoes).long()), args.epochs, args.batch_size)


if __name__ == "__main__":
    main()
