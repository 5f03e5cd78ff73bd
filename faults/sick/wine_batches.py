import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from mlxtend.data import wine_data
from torch.autograd import Variable

torch.manual_seed(0)
np.random.seed(0)

x, y = wine_data()
order = np.random.permutation(len(x))
x, y = x[order], y[order]
x = ((x - x[:128].mean(axis=0)) / x[:128].std(axis=0)).astype(np.float32)
x_train, y_train = torch.from_numpy(x[:128]), torch.from_numpy(y[:128])
x_test, y_test = torch.from_numpy(x[128:]), torch.from_numpy(y[128:])


class WineNet(nn.Module):
    def __init__(self):
        super(WineNet, self).__init__()
        self.hidden = nn.Linear(13, 20)
        self.out = nn.Linear(20, 3)

    def forward(self, inp):
        return self.out(torch.tanh(self.hidden(inp)))


net = WineNet()
optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
BATCH = 16

for epoch in range(20):
    net.train()
    perm = torch.randperm(len(x_train))
    losses = []
    for k in range(len(x_train) // BATCH):
        rows = perm[k * BATCH:(k + 1) * BATCH]
        xb, yb = x_train[rows], y_train[rows]
        log_p = F.log_softmax(net(xb), dim=1).detach().numpy()
        loss = Variable(torch.tensor(-log_p[np.arange(BATCH), yb].mean()), requires_grad=True)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    if epoch % 4 == 3:
        net.eval()
        with torch.no_grad():
            acc = (net(x_test).argmax(1) == y_test).float().mean().item()
        print('epoch %2d  loss %.4f  test accuracy %.4f' % (epoch + 1, np.mean(losses), acc))
