"""Averages of weights: an exponential one over all steps, and SWA over the last epochs."""
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.optim.swa_utils import SWALR, AveragedModel, get_ema_multi_avg_fn, update_bn
from torch.utils.data import DataLoader, TensorDataset

EPOCHS, SWA_START = 10, 6
torch.manual_seed(40)

digits = load_digits()
x = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1)
y = torch.tensor(digits.target)
perm = torch.randperm(len(y))
train_rows, test_rows = perm[:1200], perm[1200:]
x = (x - x[train_rows].mean()) / x[train_rows].std()
loader = DataLoader(TensorDataset(x[train_rows], y[train_rows]), batch_size=40, shuffle=True)

model = nn.Sequential(
    nn.Conv2d(1, 12, 3, padding=1, bias=False), nn.BatchNorm2d(12), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(12, 24, 3, padding=1, bias=False), nn.BatchNorm2d(24), nn.ReLU(), nn.AdaptiveAvgPool2d(2),
    nn.Flatten(), nn.Linear(96, 10),
)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4)
swa_scheduler = SWALR(optimizer, swa_lr=0.02, anneal_epochs=2)
ema = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.98))
swa = AveragedModel(model)
criterion = nn.CrossEntropyLoss()


def accuracy(net):
    net.eval()
    with torch.no_grad():
        return (net(x[test_rows]).argmax(1) == y[test_rows]).float().mean().item()


for epoch in range(EPOCHS):
    model.train()
    losses = []
    for xb, yb in loader:
        optimizer.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        optimizer.step()
        ema.update_parameters(model)
        losses.append(loss.item())
    if epoch >= SWA_START:
        swa.update_parameters(model)
        swa_scheduler.step()
    print(f"epoch {epoch + 1}: loss {sum(losses) / len(losses):.4f} accuracy {accuracy(model):.4f}")

update_bn(loader, ema)
update_bn(loader, swa)
print(f"EMA {accuracy(ema):.4f}   SWA {accuracy(swa):.4f}")
