import torch
import torch.nn as nn
from sklearn.datasets import load_digits

torch.manual_seed(3)

digits = load_digits()
pics = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 8 - 1
odd = torch.tensor(digits.target % 2)
perm = torch.randperm(len(pics))
x_train, y_train = pics[perm[:1350]], odd[perm[:1350]]
x_test, y_test = pics[perm[1350:]], odd[perm[1350:]]

net = nn.Sequential(
    nn.Conv2d(1, 12, kernel_size=3, padding=1),
    nn.ReLU(),
    nn.Conv2d(12, 24, kernel_size=3, stride=2, padding=1),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(24 * 4 * 4, 32),
    nn.ReLU(),
    nn.Linear(32, 2),
)
loss_fn = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)

for epoch in range(6):
    net.train()
    perm = torch.randperm(len(x_train))
    total = 0.0
    for i in range(0, len(perm), 45):
        batch = perm[i:i + 45]
        optimizer.zero_grad()
        loss = loss_fn(net(x_train[batch]), y_train[batch])
        loss.backward()
        optimizer.step()
        total += loss.item()
    net.eval()
    with torch.no_grad():
        acc = (net(x_test).argmax(1) == y_test).float().mean().item()
    print("epoch %d, loss %.4f, test acc %.3f" % (epoch, total / 30, acc))
