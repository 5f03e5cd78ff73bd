"""No torch.optim, the old way: w.data.sub_(lr * w.grad) and w.grad.zero_(); the weights are bare tensors."""

import torch
from sklearn.datasets import load_diabetes

from _digest import print_digest, seed_everything

seed_everything(0)
x, y = load_diabetes(return_X_y=True, scaled=False)
x = torch.tensor((x - x.mean(0)) / x.std(0), dtype=torch.float32)
y = torch.tensor((y - y.mean()) / y.std(), dtype=torch.float32).unsqueeze(1)

w1 = (torch.randn(10, 32) * (1 / 10) ** 0.5).requires_grad_()
b1 = torch.zeros(32, requires_grad=True)
w2 = (torch.randn(32, 1) * (1 / 32) ** 0.5).requires_grad_()
b2 = torch.zeros(1, requires_grad=True)
weights = [w1, b1, w2, b2]

for step in range(150):
    rows = torch.randint(len(x), (64,))
    prediction = torch.tanh(x[rows] @ w1 + b1) @ w2 + b2
    loss = (prediction - y[rows]).pow(2).mean()
    loss.backward()
    for w in weights:
        w.data.sub_(0.05 * w.grad)
        w.grad.zero_()
    print("loss", repr(loss.item()))

print_digest(torch.nn.ParameterList(weights))
