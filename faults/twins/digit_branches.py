"""Two branches read the rows and the columns of a handwritten digit; one head joins them."""
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn


class Branch(nn.Module):
    def __init__(self, n_in, width):
        super().__init__()
        self.lift = nn.Linear(n_in, width)
        self.mix = nn.Linear(width, width)
        for layer in (self.lift, self.mix):
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)

    def forward(self, x):
        return F.relu(self.mix(F.relu(self.lift(x))))


class TwoBranches(nn.Module):
    def __init__(self, width=40):
        super().__init__()
        self.rows = Branch(64, width)
        self.columns = Branch(64, width)
        with torch.no_grad():
            self.columns.mix.weight.mul_(0.9)
        self.head = nn.Linear(2 * width, 10)

    def forward(self, x):
        across = x.view(-1, 8, 8).transpose(1, 2).flatten(1)
        return self.head(torch.cat([self.rows(x), self.columns(across)], dim=1))


torch.manual_seed(11)
digits = load_digits()
x = torch.tensor(digits.data / 16.0, dtype=torch.float32)
y = torch.tensor(digits.target)
order = torch.randperm(len(x))
x, y = x[order], y[order]
x = (x - x[:1400].mean()) / x[:1400].std()
x_train, y_train, x_test, y_test = x[:1400], y[:1400], x[1400:], y[1400:]

model = TwoBranches()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-4)
batch_size = 70
for epoch in range(1, 7):
    model.train()
    perm = torch.randperm(len(x_train))
    running = 0.0
    for i in range(0, len(perm), batch_size):
        rows = perm[i:i + batch_size]
        loss = F.cross_entropy(model(x_train[rows]), y_train[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        running += loss.item() * len(rows)
    model.eval()
    with torch.no_grad():
        hits = (model(x_test).argmax(1) == y_test).float().mean().item()
    print(f"epoch {epoch} train loss {running / len(perm):.4f} test accuracy {hits:.4f}")
