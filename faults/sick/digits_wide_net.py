import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split


class WideNet(nn.Module):
    def __init__(self, width, p):
        super().__init__()
        self.fc1 = nn.Linear(64, width)
        self.fc2 = nn.Linear(width, 10)
        self.relu = nn.ReLU()
        self.dropout = nn.Dropout(p)

    def forward(self, x):
        h = self.relu(self.fc1(x))
        return self.dropout(self.fc2(h))


def epoch_pass(net, loader, criterion, optimizer=None):
    net.train(optimizer is not None)
    total_loss, total_right, count = 0.0, 0, 0
    with torch.set_grad_enabled(optimizer is not None):
        for images, digits in loader:
            scores = net(images)
            loss = criterion(scores, digits)
            if optimizer is not None:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            total_loss += loss.item() * len(digits)
            total_right += (scores.argmax(dim=1) == digits).sum().item()
            count += len(digits)
    return total_loss / count, total_right / count


torch.manual_seed(17)
bunch = load_digits()
dataset = TensorDataset(torch.tensor(bunch.data, dtype=torch.float32) / 8 - 1, torch.tensor(bunch.target))
train_part, val_part = random_split(dataset, [1400, len(dataset) - 1400])
train_loader = DataLoader(train_part, batch_size=50, shuffle=True)
val_loader = DataLoader(val_part, batch_size=200)

net = WideNet(width=128, p=0.5)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(net.parameters(), lr=0.002)
for epoch in range(8):
    train_loss, train_acc = epoch_pass(net, train_loader, criterion, optimizer)
    val_loss, val_acc = epoch_pass(net, val_loader, criterion)
    print(
        f"{epoch + 1}: train loss {train_loss:.4f} acc {train_acc:.4f}   val loss {val_loss:.4f} acc {val_acc:.4f}"
    )
