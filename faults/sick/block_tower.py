import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.fc = nn.Linear(width, width)

    def forward(self, x):
        return x + torch.relu(self.fc(self.norm(x)))


class Tower(nn.Module):
    def __init__(self, width=48, depth=4):
        super().__init__()
        self.embed = nn.Linear(64, width)
        self.blocks = nn.ModuleList([Block(width)] * depth)
        self.head = nn.Linear(width, 10)

    def forward(self, x):
        x = self.embed(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


torch.manual_seed(23)
source = load_digits()
pixels = torch.tensor(source.data, dtype=torch.float32) / 16
digits = torch.tensor(source.target)
shuffled = torch.randperm(len(pixels))
pixels, digits = pixels[shuffled], digits[shuffled]
train_loader = DataLoader(TensorDataset(pixels[:1300], digits[:1300]), batch_size=50, shuffle=True)

model = Tower()
print("parameters:", sum(p.numel() for p in model.parameters()))
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)

for epoch in range(6):
    model.train()
    losses = []
    for batch, target in train_loader:
        loss = criterion(model(batch), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        accuracy = (model(pixels[1300:]).argmax(1) == digits[1300:]).float().mean().item()
    print(f"epoch {epoch + 1} | loss {sum(losses) / len(losses):.4f} | held-out accuracy {accuracy:.4f}")
