import argparse
import gzip
import struct

import numpy as np
import torch
import torch.nn as nn

SHIRT = 6


def open_idx(path, limit):
    with gzip.open(path, "rb") as f:
        _, _, ndim = struct.unpack(">HBB", f.read(4))
        shape = struct.unpack(f">{ndim}I", f.read(4 * ndim))
        per_item = int(np.prod(shape[1:], dtype=np.int64))
        data = np.frombuffer(f.read(limit * per_item), dtype=np.uint8)
    return data.reshape(limit, *shape[1:])


def get_data(folder, split, limit):
    x = open_idx(f"{folder}/{split}-images-idx3-ubyte.gz", limit)
    y = open_idx(f"{folder}/{split}-labels-idx1-ubyte.gz", limit)
    x = torch.from_numpy(x.astype(np.float32) / 255.0).flatten(1)
    return (x - 0.286) / 0.353, torch.from_numpy((y == SHIRT).astype(np.float32))


def scores(model, x, y):
    model.eval()
    with torch.no_grad():
        hit = model(x).squeeze(1) > 0
    truth = y > 0.5
    recall = (hit & truth).sum().item() / truth.sum().item()
    specificity = (~hit & ~truth).sum().item() / (~truth).sum().item()
    return recall, specificity


def main():
    p = argparse.ArgumentParser(description="one class against all others")
    p.add_argument("--folder", default="/usr/share/datasets/fashion-mnist")
    p.add_argument("--epochs", type=int, default=6)
    p.add_argument("--lr", type=float, default=5e-4)
    opts = p.parse_args()

    torch.manual_seed(8)
    x_train, y_train = get_data(opts.folder, "train", 3000)
    x_test, y_test = get_data(opts.folder, "t10k", 1500)

    positives = y_train.sum()
    negatives = len(y_train) - positives
    pos_weight = negatives / positives

    model = nn.Sequential(nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 1))
    bce = nn.BCEWithLogitsLoss(pos_weight=pos_weight)
    optimizer = torch.optim.Adam(model.parameters(), lr=opts.lr)

    for epoch in range(opts.epochs):
        model.train()
        total = 0.0
        for idx in torch.randperm(len(x_train)).split(50):
            optimizer.zero_grad()
            logit = model(x_train[idx]).squeeze(1)
            loss = bce(logit, y_train[idx])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(idx)
        recall, specificity = scores(model, x_test, y_test)
        print(
            f"epoch {epoch + 1} loss {total / len(x_train):.4f} recall {recall:.3f} "
            f"specificity {specificity:.3f} balanced accuracy {(recall + specificity) / 2:.4f}"
        )


if __name__ == "__main__":
    main()
