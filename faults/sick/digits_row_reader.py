"""Read digits row by row with a GRU."""
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset, random_split


class RowReader(nn.Module):
    def __init__(self, hidden=48):
        super().__init__()
        self.gru = nn.GRU(8, hidden)
        self.out = nn.Linear(hidden, 10)

    def forward(self, x):
        rows = x.view(8, -1, 8)  # the GRU wants (rows, batch, pixels)
        states, last = self.gru(rows)
        return self.out(last[0])


torch.manual_seed(9)
bunch = load_digits()
data = TensorDataset(
    torch.tensor(bunch.images / 6 - 0.8, dtype=torch.float32), torch.tensor(bunch.target)
)
train_data, val_data = random_split(data, [1400, 397])
train_loader = DataLoader(train_data, batch_size=50, shuffle=True)
val_loader = DataLoader(val_data, batch_size=50)

model = RowReader()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)

for epoch in range(8):
    model.train()
    loss_sum = 0.0
    for images, labels in train_loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        loss_sum += loss.item() * len(labels)
    model.eval()
    right = 0
    with torch.no_grad():
        for images, labels in val_loader:
            right += (model(images).argmax(1) == labels).sum().item()
    print(f"epoch {epoch + 1}  loss {loss_sum / 1400:.4f}  accuracy {right / 397:.4f}")
