"""Autoencoder for black-and-white digits: which of the 64 pixels carry ink, from twelve numbers."""
import torch
from sklearn.datasets import load_digits
from torch import nn, optim

ACTIVATIONS = {"elu": nn.ELU, "sigmoid": nn.Sigmoid, "none": nn.Identity}


def perceptron(sizes, hidden="elu", last="none"):
    """Linear layers of the given sizes with an activation after each."""
    layers = []
    for i, (a, b) in enumerate(zip(sizes, sizes[1:])):
        layers.append(nn.Linear(a, b))
        layers.append(ACTIVATIONS[last if i == len(sizes) - 2 else hidden]())
    return nn.Sequential(*layers)


class InkCoder(nn.Module):
    def __init__(self, code=12):
        super().__init__()
        self.encode = perceptron([64, 96, code])
        self.decode = perceptron([code, 96, 64], last="sigmoid")

    def forward(self, ink):
        return self.decode(self.encode(2 * ink - 1))


def rounded(answers):
    return (answers > 0.5).float()


def batches(x, size, generator):
    order = torch.randperm(len(x), generator=generator)
    for i in range(0, len(x), size):
        yield x[order[i:i + size]]


def train_one_epoch(model, optimizer, x, generator):
    criterion = nn.BCEWithLogitsLoss()
    model.train()
    history = []
    for ink in batches(x, 50, generator):
        optimizer.zero_grad()
        loss = criterion(model(ink), ink)
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    return sum(history) / len(history)


def pixels_right(model, x):
    model.eval()
    with torch.no_grad():
        return (rounded(model(x)) == x).float().mean().item()


def main():
    torch.manual_seed(43)
    generator = torch.Generator().manual_seed(43)
    ink = torch.tensor(load_digits().data >= 8, dtype=torch.float32)
    ink = ink[torch.randperm(len(ink))]
    train, held_out = ink[:1400], ink[1400:]
    print(f"share of ink {train.mean():.3f}, always the commoner colour of a pixel: "
          f"{(held_out == (train.mean(0) > 0.5)).float().mean():.4f}")
    model = InkCoder()
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    for epoch in range(12):
        loss = train_one_epoch(model, optimizer, train, generator)
        if epoch % 3 == 2:
            print(f"epoch {epoch + 1:2d}: loss {loss:.4f}, held-out pixels right {pixels_right(model, held_out):.4f}")


if __name__ == "__main__":
    main()
