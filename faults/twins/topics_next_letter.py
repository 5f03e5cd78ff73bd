"""The next letter in Python's help texts, with a small convolutional model that looks back only."""
from pydoc_data.topics import topics

import torch
import torch.nn as nn

WINDOW, BATCH = 24, 64


class CausalConv(nn.Module):
    def __init__(self, width, dilation):
        super().__init__()
        self.pad = nn.ConstantPad1d((2 * dilation, 0), 0.0)
        self.conv = nn.Conv1d(width, width, 3, dilation=dilation)
        self.act = nn.GELU()

    def forward(self, x):
        return x + self.act(self.conv(self.pad(x)))


class LetterModel(nn.Module):
    def __init__(self, letters, width=48):
        super().__init__()
        self.embed = nn.Embedding(letters, width)
        self.stack = nn.Sequential(*(CausalConv(width, d) for d in (1, 2, 4)))
        self.out = nn.Linear(width, letters)
        self.normalise = nn.LogSoftmax(dim=-1)

    def forward(self, ids):
        h = self.stack(self.embed(ids).transpose(1, 2)).transpose(1, 2)
        return self.normalise(self.out(h))


def encode(size=60000):
    text = " ".join(" ".join(topics[name].lower().split()) for name in sorted(topics))[:size]
    letters = sorted(set(text))
    index = {c: i for i, c in enumerate(letters)}
    return torch.tensor([index[c] for c in text]), len(letters)


def draw(codes, count):
    at = torch.randint(len(codes) - WINDOW, (count, 1)) + torch.arange(WINDOW + 1)
    return codes[at][:, :-1], codes[at][:, 1:]


def main():
    torch.manual_seed(53)
    codes, letters = encode()
    fit, held = codes[:54000], codes[54000:]
    x_held, y_held = draw(held, 200)
    model = LetterModel(letters)
    criterion = nn.NLLLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for round_ in range(5):
        model.train()
        seen = 0.0
        for _ in range(40):
            x, y = draw(fit, BATCH)
            optimizer.zero_grad()
            log_p = model(x)
            loss = criterion(log_p.flatten(0, 1), y.flatten())
            loss.backward()
            optimizer.step()
            seen += loss.item() / 40
        model.eval()
        with torch.no_grad():
            right = (model(x_held).argmax(-1) == y_held).float().mean().item()
        print(f"{(round_ + 1) * 40:4d} steps: loss {seen:.4f}, next letter right {right:.4f}")


if __name__ == "__main__":
    main()
