"""Read strings of three to five handwritten digits without being told where each one stands (CTC)."""
import torch
from sklearn.datasets import load_digits
from torch import nn

SEED, LONGEST, STEPS, BATCH = 10, 5, 200, 32


class Reader(nn.Module):
    """Columns of pixels go in, scores of blank + ten digits come out, one row a column pair."""

    def __init__(self, hidden=48):
        super().__init__()
        self.conv = nn.Sequential(nn.Conv1d(8, 48, 5, stride=2, padding=2), nn.ReLU())
        self.rnn = nn.GRU(48, hidden, bidirectional=True, batch_first=True)
        self.fc = nn.Linear(2 * hidden, 11)

    def forward(self, x):
        h = self.conv(x).transpose(1, 2)
        h, _ = self.rnn(h)
        return self.fc(h).log_softmax(-1)


class Strings:
    """Random strings made of the pictures of one split."""

    def __init__(self, images, labels, generator):
        self.images, self.labels, self.generator = images, labels, generator

    def batch(self, size):
        lengths = torch.randint(3, LONGEST + 1, (size,), generator=self.generator)
        picks = torch.randint(len(self.images), (size, LONGEST), generator=self.generator)
        strip = self.images[picks].permute(0, 2, 1, 3).reshape(size, 8, LONGEST * 8).clone()
        for i, n in enumerate(lengths.tolist()):
            strip[i, :, n * 8:] = -1.0
        return strip, self.labels[picks] + 1, lengths


def decode(log_p, lengths):
    out = []
    for row, n in zip(log_p.argmax(-1), lengths):
        row = torch.unique_consecutive(row[:n])
        out.append(row[row > 0].tolist())
    return out


def main():
    torch.manual_seed(SEED)
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32) / 8 - 1
    labels = torch.tensor(digits.target)
    order = torch.randperm(len(labels))
    g = torch.Generator().manual_seed(SEED)
    train = Strings(images[order[:1400]], labels[order[:1400]], g)
    test = Strings(images[order[1400:]], labels[order[1400:]], torch.Generator().manual_seed(99))
    held = test.batch(200)

    model = Reader()
    ctc = nn.CTCLoss(blank=0, zero_infinity=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=STEPS, eta_min=2e-4)
    for step in range(1, STEPS + 1):
        model.train()
        x, y, n = train.batch(BATCH)
        optimizer.zero_grad()
        loss = ctc(model(x).transpose(0, 1), y, n * 4, n)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        scheduler.step()
        if step % 40 == 0:
            model.eval()
            with torch.no_grad():
                x, y, n = held
                told = decode(model(x), (n * 4).tolist())
            right = sum(t == row[:k].tolist() for t, row, k in zip(told, y, n.tolist()))
            print(f"step {step}: ctc {loss.item():.3f}, whole strings right {right / 200:.3f}")


if __name__ == "__main__":
    main()
