import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, Dataset

PATCH = 4


class Digits(Dataset):
    def __init__(self, images, labels, train):
        self.images = torch.tensor(images / 8.0 - 0.6, dtype=torch.float32)
        self.labels = torch.tensor(labels)
        self.train = train

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        image = self.images[i]
        if self.train:
            image = self.erase(image)
        return image.flatten(), self.labels[i]

    def erase(self, image):
        top, left = torch.randint(0, 8 - PATCH + 1, (2,)).tolist()
        image = image.clone()
        image[top:top + PATCH, left:left + PATCH] = -0.6
        return image


def build_model():
    return nn.Sequential(
        nn.Linear(64, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


def run_epoch(model, loader, criterion, optimizer=None):
    training = optimizer is not None
    model.train(training)
    loss_sum, correct, count = 0.0, 0, 0
    with torch.set_grad_enabled(training):
        for inputs, targets in loader:
            outputs = model(inputs)
            loss = criterion(outputs, targets)
            if training:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            loss_sum += loss.item() * len(targets)
            correct += (outputs.argmax(1) == targets).sum().item()
            count += len(targets)
    return loss_sum / count, correct / count


def main():
    torch.manual_seed(5)
    bunch = load_digits()
    rows = np.random.default_rng(5).permutation(len(bunch.target))
    first, second = rows[:1200], rows[1200:]
    train_set = Digits(bunch.images[first], bunch.target[first], train=True)
    val_set = Digits(bunch.images[second], bunch.target[second], train=False)
    train_loader = DataLoader(train_set, batch_size=40, shuffle=True)
    val_loader = DataLoader(val_set, batch_size=200)

    model = build_model()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for epoch in range(7):
        train_loss, train_acc = run_epoch(model, train_loader, criterion, optimizer)
        val_loss, val_acc = run_epoch(model, val_loader, criterion)
        print(f"{epoch}  train {train_loss:.4f} {train_acc:.4f}  val {val_loss:.4f} {val_acc:.4f}")


if __name__ == "__main__":
    main()
