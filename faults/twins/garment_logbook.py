"""Fashion-MNIST with a logbook of the training, kept in memory and written at the end."""
import csv
import gzip
import io

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def garments(part, n, folder="/usr/share/datasets/fashion-mnist"):
    with gzip.open(f"{folder}/{part}-images-idx3-ubyte.gz") as f:
        x = np.frombuffer(f.read(16 + n * 784), np.uint8, offset=16).reshape(n, 784)
    with gzip.open(f"{folder}/{part}-labels-idx1-ubyte.gz") as f:
        y = np.frombuffer(f.read(8 + n), np.uint8, offset=8)
    return TensorDataset(torch.tensor((x / 255 - 0.286) / 0.353, dtype=torch.float32), torch.tensor(y).long())


class Logbook:
    def __init__(self, every):
        self.every = every
        self.rows = []

    def note(self, step, loss, logits, labels, model):
        if step % self.every:
            return
        row = {"step": step, "loss": loss.item(), "largest logit": logits.max().item()}
        row["accuracy"] = (logits.argmax(1) == labels).float().mean().item()
        for name, p in model.named_parameters():
            row[name + " mean"] = p.mean().item()
            row[name + " std"] = p.std().item()
            row[name + " gradient"] = p.grad.norm().item()
            row[name + " histogram"] = np.histogram(p.grad.detach().cpu().numpy(), bins=20)[0].tolist()
        self.rows.append(row)

    def text(self):
        out = io.StringIO()
        writer = csv.DictWriter(out, fieldnames=list(self.rows[0]))
        writer.writeheader()
        writer.writerows(self.rows)
        return out.getvalue()


def validate(model, loader):
    model.eval()
    with torch.no_grad():
        hits = sum((model(x).argmax(1) == y).sum() for x, y in loader)
    return hits.item() / len(loader.dataset)


def main():
    torch.manual_seed(86)
    train_loader = DataLoader(garments("train", 2400), batch_size=64, shuffle=True)
    val_loader = DataLoader(garments("t10k", 1000), batch_size=250)
    model = nn.Sequential(nn.Linear(784, 48), nn.ReLU(), nn.Linear(48, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-3)
    criterion = nn.CrossEntropyLoss()
    logbook = Logbook(every=50)
    step = 0
    for epoch in range(6):
        model.train()
        total = torch.zeros(())
        for x, y in train_loader:
            logits = model(x)
            loss = criterion(logits, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            logbook.note(step, loss, logits, y, model)
            total += loss.detach()
        print(f"epoch {epoch}: loss {total.item() / len(train_loader):.4f}, val accuracy {validate(model, val_loader):.4f}")
    print(f"{len(logbook.rows)} rows, {len(logbook.text())} characters in the logbook")


if __name__ == "__main__":
    main()
