import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

torch.manual_seed(19)
images, labels = load_digits(return_X_y=True)
images = torch.tensor(images, dtype=torch.float32) / 16
images = (images - images.mean()) / images.std()
labels = torch.tensor(labels)
mixed = torch.randperm(len(labels))
train, held_out = mixed[:1400], mixed[1400:]

net = nn.Sequential(
    nn.Linear(64, 64),
    nn.ReLU(),
    nn.Linear(64, 1),
)
optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)


def step(xb, yb):
    net.train()
    loss = F.mse_loss(net(xb).squeeze(1), yb.float())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def accuracy(x, y):
    net.eval()
    with torch.no_grad():
        guess = net(x).squeeze(1).round()
    return (guess == y).float().mean().item()


for epoch in range(1, 11):
    losses = [step(images[b], labels[b]) for b in train[torch.randperm(len(train))].split(40)]
    mean_loss = sum(losses) / len(losses)
    print("epoch %2d loss %.4f accuracy %.4f" % (epoch, mean_loss, accuracy(images[held_out], labels[held_out])))
