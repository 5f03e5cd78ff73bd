"""CTC: read strings of one to four real digits, laid side by side, with a bidirectional GRU."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

from _digest import print_digest, seed_everything

BATCH, BLANK = 32, 0


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(8, 64, kernel_size=8, stride=4, padding=2)
        self.gru = nn.GRU(64, 64, bidirectional=True)
        self.out = nn.Linear(128, 11)

    def forward(self, x):  # (B, 8 rows, W columns)
        h = F.relu(self.conv(x)).permute(2, 0, 1)  # (T, B, 64)
        return self.out(self.gru(h)[0]).log_softmax(dim=-1)


def batch_of_strings(images, labels):
    lengths = torch.randint(1, 5, (BATCH,))
    picked = torch.randint(len(images), (BATCH, 4))
    strips = torch.zeros(BATCH, 8, 4 * 12)
    for row in range(BATCH):
        for place in range(int(lengths[row])):
            left = place * 12 + int(torch.randint(0, 4, ()))
            strips[row, :, left : left + 8] = images[picked[row, place]]
    return strips - 0.3, labels[picked] + 1, lengths


def main():
    seed_everything(0)
    digits = load_digits()
    images, labels = torch.tensor(digits.images / 16, dtype=torch.float32), torch.tensor(digits.target)
    model = Reader()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    criterion = nn.CTCLoss(blank=BLANK)
    for _ in range(120):
        x, targets, lengths = batch_of_strings(images, labels)
        log_probs = model(x)
        frames = torch.full((BATCH,), log_probs.shape[0])
        loss = criterion(log_probs, targets, frames, lengths)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        print("loss", repr(loss.item()))
    print_digest(model)


if __name__ == "__main__":
    main()
