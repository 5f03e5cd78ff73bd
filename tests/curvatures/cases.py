"""Losses whose Hessian is known, and small nets."""

import torch
from torch import nn

import torchdx as dx


def quadratic(matrix, at, **options):
    """0.5 w'Aw at some weights."""
    w = nn.Parameter(torch.as_tensor(at, dtype=matrix.dtype).clone())
    return dx.curvature(lambda: 0.5 * w @ matrix @ w, {"w": w}, **options)


def function(f, at, **options):
    """A function of one vector, in double precision."""
    w = nn.Parameter(torch.tensor(at, dtype=torch.float64))
    return dx.curvature(lambda: f(w), {"w": w}, **options), w


def dense(c):
    """The whole Hessian, column by column."""
    return torch.stack([c.hvp(row) for row in torch.eye(c.n, dtype=torch.float64)], 1)


def net(activation=nn.Tanh, dtype=torch.float64, seed=0):
    """A small classifier with its batch."""
    torch.manual_seed(seed)
    x, y = torch.randn(40, 6, dtype=dtype), torch.randint(0, 3, (40,))
    model = nn.Sequential(nn.Linear(6, 8), activation(), nn.Linear(8, 3)).to(dtype)
    return model, (x, y)


def exact(model, batch, loss_fn=nn.functional.cross_entropy):
    """The Hessian by torch.autograd.functional, another way than ours."""
    named = {k: p.detach() for k, p in model.named_parameters()}
    sizes = [p.numel() for p in named.values()]
    flat = torch.cat([p.reshape(-1) for p in named.values()])

    def loss(vector):
        pieces = vector.split(sizes)
        own = {k: v.view(named[k].shape) for k, v in zip(named, pieces, strict=True)}
        return loss_fn(torch.func.functional_call(model, own, (batch[0],)), batch[1])

    return torch.autograd.functional.hessian(loss, flat)
