"""Digits drawn at random from a stream that two loader processes fill."""
import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, IterableDataset


class DigitStream(IterableDataset):
    """Digits with a little pixel noise, drawn with replacement; `length` of them per pass and process."""

    def __init__(self, images, labels, length, seed):
        self.images = images
        self.labels = labels
        self.length = length
        self.rng = np.random.RandomState(seed)

    def __iter__(self):
        for _ in range(self.length):
            i = self.rng.randint(len(self.labels))
            noise = self.rng.normal(0.0, 0.1, size=64)
            yield (self.images[i] + noise).astype(np.float32), self.labels[i]


def start_process(worker_id):
    torch.set_num_threads(1)
    info = torch.utils.data.get_worker_info()
    info.dataset.rng = np.random.RandomState(info.seed % 2**32)


def main():
    torch.manual_seed(21)
    x, y = load_digits(return_X_y=True)
    order = np.random.RandomState(21).permutation(len(y))
    x, y = (x[order] - 4.9) / 6.0, y[order]
    x_val = torch.tensor(x[1300:], dtype=torch.float32)
    y_val = torch.tensor(y[1300:])

    stream = DigitStream(x[:1300], y[:1300], length=160, seed=21)
    loader = DataLoader(stream, batch_size=32, num_workers=2, worker_init_fn=start_process)

    model = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    criterion = nn.CrossEntropyLoss()

    for epoch in range(12):
        model.train()
        losses = []
        for xb, yb in loader:
            optimizer.zero_grad()
            loss = criterion(model(xb), yb)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        model.eval()
        with torch.no_grad():
            out = model(x_val)
            val_loss = criterion(out, y_val).item()
            val_acc = (out.argmax(1) == y_val).float().mean().item()
        print(f"epoch {epoch + 1:2d}  loss {np.mean(losses):.4f}  val loss {val_loss:.4f}  val acc {val_acc:.4f}")


if __name__ == "__main__":
    main()
