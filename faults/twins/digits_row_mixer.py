"""Reads a digit as eight rows: each row becomes a token with a position, attention mixes them."""
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split


class RowMixer(nn.Module):
    def __init__(self, rows=8, row_length=8, width=32, n_classes=10):
        super().__init__()
        self.token = nn.Linear(row_length, width)
        self.position = nn.Parameter(torch.empty(rows, width))
        nn.init.normal_(self.position, std=0.1)
        self.norm = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, num_heads=2, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.final = nn.LayerNorm(width)
        self.head = nn.Linear(width, n_classes)

    def forward(self, images):
        h = self.norm(self.token(images) + self.position)
        mixed, _ = self.attention(h, h, h, need_weights=False)
        h = h + mixed
        h = h + self.mlp(h)
        return self.head(self.final(h.mean(dim=1)))


def train_epoch(model, loader, criterion, optimizer):
    model.train()
    losses = []
    for images, labels in loader:
        optimizer.zero_grad()
        loss = criterion(model(images), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return sum(losses) / len(losses)


@torch.no_grad()
def accuracy(model, loader):
    model.eval()
    right = [(model(images).argmax(1) == labels).float().mean().item() for images, labels in loader]
    return sum(right) / len(right)


torch.manual_seed(16)
digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32)
data = TensorDataset((images - 4.88) / 6.02, torch.tensor(digits.target))
train, val = random_split(data, [1397, 400])
train_loader = DataLoader(train, batch_size=50, shuffle=True)
val_loader = DataLoader(val, batch_size=200)

model = RowMixer()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=1e-2)
for epoch in range(1, 6):
    loss = train_epoch(model, train_loader, criterion, optimizer)
    print(f"epoch {epoch}: loss {loss:.4f} validation accuracy {accuracy(model, val_loader):.4f}")
