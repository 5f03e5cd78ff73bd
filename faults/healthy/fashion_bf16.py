"""Mixed precision: autocast to bfloat16 in the forward pass, weights and loss in float32."""
import gzip

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

DATA = "/usr/share/datasets/fashion-mnist"


def load(split, n):
    with gzip.open(f"{DATA}/{split}-images-idx3-ubyte.gz") as f:
        x = np.frombuffer(f.read(16 + n * 784), np.uint8, offset=16).reshape(n, 784)
    with gzip.open(f"{DATA}/{split}-labels-idx1-ubyte.gz") as f:
        y = np.frombuffer(f.read(8 + n), np.uint8, offset=8)
    return TensorDataset((torch.tensor(x).float() / 255 - 0.286) / 0.353, torch.tensor(y).long())


def main():
    torch.manual_seed(22)
    train = DataLoader(load("train", 2000), batch_size=50, shuffle=True, drop_last=True)
    test = DataLoader(load("t10k", 1000), batch_size=250)
    model = nn.Sequential(nn.Linear(784, 64), nn.GELU(), nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 10))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(4):
        model.train()
        total = 0.0
        for x, y in train:
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.bfloat16):
                logits = model(x)
            loss = criterion(logits.float(), y)
            loss.backward()
            optimizer.step()
            total += loss.item()
        model.eval()
        correct = 0
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
            for x, y in test:
                correct += (model(x).argmax(1) == y).sum().item()
        print(f"epoch {epoch + 1}: loss {total / len(train):.4f} accuracy {correct / 1000:.3f}")


if __name__ == "__main__":
    main()
