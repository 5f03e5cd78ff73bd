"""MAML on sine waves: inner steps by autograd.grad(create_graph=True) and functional_call, outer step by Adam."""

import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

from _digest import print_digest, seed_everything

INNER_LR, INNER_STEPS, TASKS = 0.02, 2, 6


def sample_task():
    amplitude, phase = 0.5 + 2 * torch.rand(()), math.pi * torch.rand(())

    def points(n=10):
        x = 10 * torch.rand(n, 1) - 5
        return x, amplitude * torch.sin(x + phase)

    return points


def adapt(model, params, x, y):
    for _ in range(INNER_STEPS):
        loss = F.mse_loss(functional_call(model, params, (x,)), y)
        grads = torch.autograd.grad(loss, list(params.values()), create_graph=True)
        params = {name: p - INNER_LR * g for (name, p), g in zip(params.items(), grads)}
    return params


def main():
    seed_everything(0)
    model = nn.Sequential(nn.Linear(1, 40), nn.ReLU(), nn.Linear(40, 40), nn.ReLU(), nn.Linear(40, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(80):
        optimizer.zero_grad()
        losses = []
        for _ in range(TASKS):
            points = sample_task()
            adapted = adapt(model, dict(model.named_parameters()), *points())
            x, y = points()
            losses.append(F.mse_loss(functional_call(model, adapted, (x,)), y))
        loss = torch.stack(losses).mean()
        loss.backward()
        optimizer.step()
        print("loss", repr(loss.item()))
    print_digest(model)


if __name__ == "__main__":
    main()
