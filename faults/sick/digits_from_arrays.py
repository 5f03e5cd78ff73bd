import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

torch.manual_seed(0)

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16.0, y, test_size=0.25, random_state=0)
X_train = torch.tensor(X_train, dtype=torch.float32) - 0.3
X_test = torch.tensor(X_test, dtype=torch.float32) - 0.3
y_train, y_test = torch.tensor(y_train), torch.tensor(y_test)

net = torch.nn.Sequential(
    torch.nn.Linear(64, 48),
    torch.nn.ReLU(),
    torch.nn.Linear(48, 10),
)
opt = torch.optim.SGD(net.parameters(), lr=0.2)
batch = 32

for epoch in range(8):
    order = torch.randperm(len(X_train))
    epoch_loss, n = 0.0, 0
    for start in range(0, len(order), batch):
        rows = order[start:start + batch]
        loss = torch.nn.functional.cross_entropy(net(X_train[rows]), y_train[rows])
        loss.backward()
        opt.step()
        epoch_loss += loss.item()
        n += 1
    with torch.no_grad():
        acc = (net(X_test).argmax(1) == y_test).float().mean().item()
    print(f"epoch {epoch:2d}  train loss {epoch_loss / n:8.4f}  test acc {acc:.3f}")
