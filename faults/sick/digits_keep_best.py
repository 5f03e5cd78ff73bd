"""A digit classifier with a small training framework: callbacks for the log and for the best weights."""
import copy

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split


class Log:
    def after_epoch(self, trainer, epoch, metrics):
        print(f"epoch {epoch + 1}: " + " ".join(f"{k} {v:.4f}" for k, v in metrics.items()))

    def after_fit(self, trainer):
        pass


class KeepBest:
    """Keeps the weights of the epoch whose metric was best; mode: 'min' or 'max'."""

    def __init__(self, metric="val_loss", mode="min"):
        self.metric, self.sign = metric, 1 if mode == "min" else -1
        self.best, self.weights, self.epoch = float("inf"), None, None

    def after_epoch(self, trainer, epoch, metrics):
        value = self.sign * metrics[self.metric]
        if value < self.best:
            self.best, self.epoch = value, epoch
            self.weights = copy.deepcopy(trainer.model.state_dict())

    def after_fit(self, trainer):
        trainer.model.load_state_dict(self.weights)
        print(f"weights of epoch {self.epoch + 1}")


class Trainer:
    def __init__(self, model, optimizer, criterion, callbacks):
        self.model, self.optimizer, self.criterion, self.callbacks = model, optimizer, criterion, callbacks

    def step(self, x, y):
        self.optimizer.zero_grad()
        loss = self.criterion(self.model(x), y)
        loss.backward()
        self.optimizer.step()
        return loss.item() * len(y)

    def fit(self, train, valid, epochs):
        for epoch in range(epochs):
            self.model.train()
            summed = sum(self.step(x, y) for x, y in train)
            val_loss, val_acc = self.evaluate(valid)
            metrics = {"loss": summed / len(train.dataset), "val_loss": val_loss, "val_acc": val_acc}
            for callback in self.callbacks:
                callback.after_epoch(self, epoch, metrics)
        for callback in self.callbacks:
            callback.after_fit(self)

    @torch.no_grad()
    def evaluate(self, loader):
        self.model.eval()
        loss, hits = 0.0, 0
        for x, y in loader:
            out = self.model(x)
            loss += self.criterion(out, y).item() * len(y)
            hits += (out.argmax(1) == y).sum().item()
        return loss / len(loader.dataset), hits / len(loader.dataset)


def main():
    torch.manual_seed(66)
    digits = load_digits()
    x = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 8 - 1
    parts = random_split(TensorDataset(x, torch.tensor(digits.target)), [1100, 300, 397])
    train = DataLoader(parts[0], batch_size=50, shuffle=True)
    valid, test = DataLoader(parts[1], batch_size=150), DataLoader(parts[2], batch_size=397)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(72, 32), nn.ReLU(), nn.Linear(32, 10)
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.8)
    trainer = Trainer(model, optimizer, nn.CrossEntropyLoss(), [Log(), KeepBest("val_acc")])
    trainer.fit(train, valid, epochs=7)
    print("test loss %.4f accuracy %.4f" % trainer.evaluate(test))


if __name__ == "__main__":
    main()
