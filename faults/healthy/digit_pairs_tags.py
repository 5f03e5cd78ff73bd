"""Which of the ten digits occur in a picture of two? Multi-label tagging with one sigmoid a tag."""
import torch
from sklearn.datasets import load_digits
from sklearn.metrics import average_precision_score, f1_score
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Pairs(Dataset):
    """Two pictures side by side, and a vector of ten tags."""

    def __init__(self, images, labels, count, seed):
        g = torch.Generator().manual_seed(seed)
        left, right = torch.randint(len(images), (2, count), generator=g)
        self.x = torch.cat([images[left], images[right]], dim=2).flatten(1)
        self.tags = torch.zeros(count, 10)
        self.tags.scatter_(1, labels[left][:, None], 1.0)
        self.tags.scatter_(1, labels[right][:, None], 1.0)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i], self.tags[i]


class Tagger(nn.Module):
    def __init__(self, hidden=160):
        super().__init__()
        self.fc1 = nn.Linear(128, hidden)
        self.fc2 = nn.Linear(hidden, hidden)
        self.tags = nn.Linear(hidden, 10)
        nn.init.constant_(self.tags.bias, -1.4)  # about a fifth of the tags are on

    def forward(self, x):
        return self.tags(torch.relu(self.fc2(torch.relu(self.fc1(x)))))


def main():
    torch.manual_seed(31)
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32)
    labels = torch.tensor(digits.target)
    order = torch.randperm(len(labels))
    fit, held = order[:1300], order[1300:]
    images = (images - images[fit].mean()) / images[fit].std()
    train = DataLoader(Pairs(images[fit], labels[fit], 3000, 1), batch_size=50, shuffle=True)
    test = Pairs(images[held], labels[held], 600, 2)

    model = Tagger()
    bce = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1.5e-3, weight_decay=0.05)
    for epoch in range(1, 7):
        model.train()
        total = 0.0
        for x, tags in train:
            optimizer.zero_grad()
            loss = bce(model(x), tags)
            loss.backward()
            optimizer.step()
            total += loss.item()
        model.eval()
        with torch.no_grad():
            scores = model(test.x)
            val = bce(scores, test.tags).item()
        f1 = f1_score(test.tags, scores > 0, average="micro")
        ap = average_precision_score(test.tags, scores, average="macro")
        print(f"epoch {epoch}: train {total / len(train):.4f} val {val:.4f} micro F1 {f1:.3f} mean AP {ap:.3f}")


if __name__ == "__main__":
    main()
