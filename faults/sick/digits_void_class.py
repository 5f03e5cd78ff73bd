import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split


class Trainer:
    """Trains a classifier; label 0 of a data set stands for 'unlabelled' where `has_void` is set."""

    def __init__(self, model, has_void=False, lr=0.05):
        self.model = model
        self.offset = 1 if has_void else 0
        self.optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9, nesterov=True)

    def fit(self, loader):
        self.model.train()
        total = 0.0
        for x, y in loader:
            self.optimizer.zero_grad()
            loss = F.cross_entropy(self.model(x), y - self.offset, ignore_index=-1)
            loss.backward()
            self.optimizer.step()
            total += loss.item()
        return total / len(loader)

    @torch.no_grad()
    def score(self, loader):
        self.model.eval()
        hits = sum((self.model(x).argmax(1) + self.offset == y).sum().item() for x, y in loader)
        return hits / len(loader.dataset)


def main():
    torch.manual_seed(30)
    x, y = (torch.tensor(a) for a in load_digits(return_X_y=True))
    x = ((x - x.mean()) / x.std()).float()
    train_set, val_set = random_split(TensorDataset(x, y), [1350, 447])
    train_loader = DataLoader(train_set, batch_size=30, shuffle=True)
    val_loader = DataLoader(val_set, batch_size=149)
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    trainer = Trainer(model, has_void=True, lr=0.02)
    for epoch in range(5):
        loss = trainer.fit(train_loader)
        print(f"epoch {epoch + 1}  loss {loss:.4f}  validation accuracy {trainer.score(val_loader):.4f}")


if __name__ == "__main__":
    main()
