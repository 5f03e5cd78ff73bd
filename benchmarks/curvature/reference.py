"""What is true: eigenvalues in double precision by scipy's ARPACK over plain double backward."""

import copy
from collections.abc import Callable

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor
from torch.func import functional_call

from benchmarks.curvature.nets import Case


def product(loss: Tensor, parameters: list[Tensor]) -> Callable[[Tensor], Tensor]:
    """Hessian times a flat vector on one kept graph, in as few operations as there can be."""
    gradient = torch.autograd.grad(loss, parameters, create_graph=True)
    sizes = [p.numel() for p in parameters]

    def times(vector: Tensor) -> Tensor:
        pieces = [v.view_as(p) for v, p in zip(vector.split(sizes), parameters, strict=True)]
        found = torch.autograd.grad(gradient, parameters, pieces, retain_graph=True)
        return torch.cat([f.reshape(-1) for f in found])

    return times


def eigenvalues(case: Case, k: int, which: str = "LA", tol: float = 1e-6) -> list[float]:
    """The outermost `k` of a net, descending."""
    model = copy.deepcopy(case.model).double()
    inputs = case.inputs.double() if case.inputs.is_floating_point() else case.inputs
    loss = case.criterion(model(inputs), case.target)
    times = product(loss, list(model.parameters()))
    operator = LinearOperator(
        (case.n, case.n), matvec=lambda v: times(torch.from_numpy(v.ravel())).numpy(), dtype=float
    )
    start = np.random.default_rng(7).standard_normal(case.n)
    found = eigsh(operator, k=k, which=which, tol=tol, v0=start, return_eigenvectors=False)
    return sorted(map(float, found), reverse=True)


def largest(model: torch.nn.Module, loss: Callable[[Callable[..., Tensor]], Tensor]) -> float:
    """Of a small net, from the whole matrix: `loss` is given the model as a function."""
    named = {name: p.detach() for name, p in model.named_parameters()}
    buffers = dict(model.named_buffers())

    def of_flat(flat: Tensor) -> Tensor:
        parts = flat.split([p.numel() for p in named.values()])
        weights = {n: v.view_as(named[n]) for n, v in zip(named, parts, strict=True)}
        state = {**weights, **{n: b.clone() for n, b in buffers.items()}}
        return loss(lambda *args: functional_call(model, state, args))

    flat = torch.cat([p.reshape(-1) for p in named.values()]).requires_grad_()
    (gradient,) = torch.autograd.grad(of_flat(flat), flat, create_graph=True)
    units = torch.eye(len(flat), dtype=flat.dtype)
    columns = [torch.autograd.grad(gradient, flat, u, retain_graph=True)[0] for u in units]
    whole = torch.stack(columns)
    return float(torch.linalg.eigvalsh((whole + whole.T) / 2)[-1])
