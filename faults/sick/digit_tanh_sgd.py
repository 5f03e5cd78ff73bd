"""Handwritten digits with a tanh network and plain gradient descent with momentum."""
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

torch.manual_seed(53)

X, y = load_digits(return_X_y=True)
X_train, X_val, y_train, y_val = train_test_split(X, y, test_size=0.25, random_state=53, stratify=y)
mean, scale = X_train.mean(), X_train.std()
X_train = torch.tensor((X_train - mean) / scale, dtype=torch.float32)
X_val = torch.tensor((X_val - mean) / scale, dtype=torch.float32)
y_train, y_val = torch.tensor(y_train), torch.tensor(y_val)

net = torch.nn.Sequential(
    torch.nn.Linear(64, 64), torch.nn.Tanh(), torch.nn.Linear(64, 32), torch.nn.Tanh(), torch.nn.Linear(32, 10)
)
opt = torch.optim.SGD(net.parameters(), lr=1.0, momentum=0.9)
loss_fn = torch.nn.CrossEntropyLoss()

for epoch in range(20):
    net.train()
    order = torch.randperm(len(X_train))
    losses = []
    for i in range(0, len(order), 128):
        rows = order[i:i + 128]
        opt.zero_grad()
        loss = loss_fn(net(X_train[rows]), y_train[rows])
        loss.backward()
        opt.step()
        losses.append(loss.item())
    net.eval()
    with torch.no_grad():
        accuracy = (net(X_val).argmax(1) == y_val).float().mean().item()
    print(f"epoch {epoch:2d}  loss {sum(losses) / len(losses):.4f}  val accuracy {accuracy:.3f}")
