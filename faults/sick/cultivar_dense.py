from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
import torch
import torch.nn as nn
import torch.optim as optim

torch.manual_seed(23)
features, cultivars = load_wine(return_X_y=True)
x_train, x_test, y_train, y_test = train_test_split(
    features, cultivars, test_size=0.3, random_state=23, stratify=cultivars
)
scaler = StandardScaler()
x_train = torch.tensor(scaler.fit_transform(x_train), dtype=torch.float32)
x_test = torch.tensor(scaler.transform(x_test), dtype=torch.float32)
y_train, y_test = torch.tensor(y_train), torch.tensor(y_test)


class Dense(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(13, 24)
        self.fc2 = nn.Linear(24, 3)

    def forward(self, x):
        return self.fc2(torch.relu(self.fc1(x)))


model = Dense()
criterion = nn.CrossEntropyLoss()
optimizer = optim.SGD(model.parameters(), lr=1e-5, momentum=0.9)

n_epochs, batch_size = 12, 16
for epoch in range(n_epochs):
    model.train()
    order = torch.randperm(len(x_train))
    epoch_loss = 0.0
    for i in range(0, len(order), batch_size):
        idx = order[i:i + batch_size]
        optimizer.zero_grad()
        output = model(x_train[idx])
        loss = criterion(output, y_train[idx])
        loss.backward()
        optimizer.step()
        epoch_loss += loss.item() * len(idx)
    model.eval()
    with torch.no_grad():
        acc = (model(x_test).argmax(dim=1) == y_test).float().mean().item()
    if epoch % 2 == 1:
        print("epoch", epoch + 1, "loss", round(epoch_loss / len(order), 4), "test acc", round(acc, 3))
