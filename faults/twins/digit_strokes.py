import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def stroke_features():
    """Differences of neighbouring pixels, across and down: (1797, 112) numbers of about unit size."""
    bunch = load_digits()
    pixels = bunch.images.astype(np.int16)
    across = pixels[:, :, 1:] - pixels[:, :, :-1]
    down = pixels[:, 1:, :] - pixels[:, :-1, :]
    flat = [a.reshape(len(pixels), -1) for a in (across, down)]
    return np.concatenate(flat, axis=1).astype(np.float32), bunch.target


class StrokeNet(nn.Module):
    def __init__(self, hidden=40):
        super().__init__()
        self.first = nn.Linear(112, hidden)
        self.second = nn.Linear(hidden, 10)
        self.act = nn.ELU()

    def forward(self, strokes):
        return self.second(self.act(self.first(strokes)))


class Trainer:
    def __init__(self, net, train_set):
        self.net = net
        self.loader = DataLoader(train_set, batch_size=32, shuffle=True)
        self.loss = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(net.parameters(), lr=0.03, momentum=0.9, weight_decay=1e-3)

    def epoch(self):
        self.net.train()
        losses = []
        for strokes, digits in self.loader:
            self.optimizer.zero_grad()
            loss = self.loss(self.net(strokes), digits)
            loss.backward()
            self.optimizer.step()
            losses.append(loss.item())
        return float(np.mean(losses))

    @torch.no_grad()
    def score(self, strokes, digits):
        self.net.eval()
        return (self.net(strokes).argmax(1) == digits).float().mean().item()


def main():
    torch.manual_seed(44)
    x, y = stroke_features()
    x_train, x_val, y_train, y_val = train_test_split(x, y, test_size=0.3, random_state=44)
    mean, std = x_train.mean(axis=0), x_train.std(axis=0) + 1.0
    x_train, x_val = (torch.from_numpy((part - mean) / std) for part in (x_train, x_val))
    y_train, y_val = torch.from_numpy(y_train), torch.from_numpy(y_val)
    trainer = Trainer(StrokeNet(), TensorDataset(x_train, y_train))
    for epoch in range(8):
        loss = trainer.epoch()
        print(f"epoch {epoch}: loss {loss:.4f}, validation accuracy {trainer.score(x_val, y_val):.4f}")


if __name__ == "__main__":
    main()
