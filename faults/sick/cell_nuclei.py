import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(14)


def get_loaders():
    data, target = load_breast_cancer(return_X_y=True)
    generator = torch.Generator().manual_seed(14)
    order = torch.randperm(len(data), generator=generator).numpy()
    data, target = data[order], target[order]
    scaler = StandardScaler().fit(data[:420])
    data = torch.tensor(scaler.transform(data), dtype=torch.float32)
    target = torch.tensor(target, dtype=torch.float32)
    train = TensorDataset(data[:420], target[:420])
    test = TensorDataset(data[420:], target[420:])
    return DataLoader(train, batch_size=30, shuffle=True), DataLoader(test, batch_size=149)


class NucleiNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(30, 20)
        self.b = nn.Linear(20, 1)

    def forward(self, x):
        x = F.leaky_relu(self.a(x))
        x = torch.sigmoid(self.b(x))
        return torch.round(x).squeeze(1)


train_loader, test_loader = get_loaders()
model = NucleiNet()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

for epoch in range(1, 9):
    model.train()
    train_loss = 0
    for x, y in train_loader:
        optimizer.zero_grad()
        prob = model(x)
        loss = F.binary_cross_entropy(prob, y)
        loss.backward()
        optimizer.step()
        train_loss += loss.item() / len(train_loader)

    model.eval()
    correct = total = 0
    with torch.no_grad():
        for x, y in test_loader:
            correct += ((model(x) > 0.5) == y.bool()).sum().item()
            total += len(y)
    print(f"Epoch {epoch}/8  loss: {train_loss:.4f}  test accuracy: {correct / total:.4f}")
