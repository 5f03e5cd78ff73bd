"""Label smoothing, and an exponential moving average of the weights (AveragedModel) finished by update_bn."""

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn
from torch.utils.data import DataLoader, TensorDataset

from _digest import print_digest, seed_everything

seed_everything(0)
images, labels = load_digits(return_X_y=True)
x = torch.tensor(images / 8 - 1, dtype=torch.float32).view(-1, 1, 8, 8)
x_train, x_test, y_train, y_test = train_test_split(x, torch.tensor(labels), test_size=0.25, random_state=0)
loader = DataLoader(TensorDataset(x_train, y_train), batch_size=64, shuffle=True, drop_last=True)

model = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(), nn.Linear(128, 10),
)  # fmt: skip
averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.95))
criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-4)

for epoch in range(4):
    model.train()
    for x, y in loader:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        averaged.update_parameters(model)
        print("loss", repr(loss.item()))

update_bn(loader, averaged)
averaged.eval()
with torch.no_grad():
    print("accuracy", repr((averaged(x_test).argmax(1) == y_test).float().mean().item()))
print_digest(model, averaged)
