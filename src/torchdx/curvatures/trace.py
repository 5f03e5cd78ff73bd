"""The trace from a Krylov basis and random vectors orthogonal to it.

    tr H = sum_i alpha_i + tr (P H P),  P the projection on the complement of the basis

The first is exact for the basis, the second is Hutchinson's estimate.

Sources: Hutchinson 1990; Meyer et al. 2021 (Hutch++) for the split, with the basis already paid.
"""

import math
from dataclasses import dataclass

import torch

from torchdx.curvatures.lanczos import Krylov, Product
from torchdx.curvatures.results import Interval, Loss, Result, Spent, lines, short
from torchdx.curvatures.vectors import dot

LEAST = 5
_LEVEL = 0.99


@dataclass(frozen=True, repr=False)
class Trace(Result):
    """The sum of the eigenvalues; `interval` takes the mean of the samples as normal (Student)."""

    value: float
    error: float
    interval: Interval
    about: Loss
    spent: Spent

    def __str__(self) -> str:
        rows = {"trace": f"{short(self.value)} ± {short(self.error)} (standard error)"}
        rows["interval"] = f"{self.interval}, taking the samples' mean as normal"
        return lines("trace of the Hessian", rows, self.about, self.spent)


class TraceState:
    """Samples so far, and the part of the basis that they are orthogonal to."""

    def __init__(self, basis: Krylov, product: Product, seed: int) -> None:
        self.size, self.exact = len(basis), math.fsum(basis.alphas)
        self.samples: list[float] = []
        self._basis, self._product = basis, product
        self._generator = torch.Generator().manual_seed(seed)

    @property
    def complete(self) -> bool:
        """Whether the basis left nothing over."""
        return self.size >= self._basis.n

    def sample(self) -> None:
        """One random sign vector more."""
        held = self._basis.vectors[: self.size]
        signs = torch.randint(0, 2, (self._basis.n,), generator=self._generator) * 2 - 1
        probe = signs.to(held.device, held.dtype)
        probe = torch.addmv(probe, held.T, held @ probe, alpha=-1)
        self.samples.append(dot(probe, self._product(probe)))


def trace_of(state: TraceState, tol: float, products: int) -> tuple[float, float, Interval]:
    """Value, standard error and 99% interval; samples until that is narrow, `products` at most."""
    if state.complete:
        return state.exact, 0.0, Interval(state.exact, state.exact, 1.0)
    while len(state.samples) < products:
        state.sample()
        if len(state.samples) >= LEAST:
            value, error = _estimate(state)
            if _quantile(len(state.samples) - 1) * error <= tol * abs(value):
                break
    value, error = _estimate(state)
    half = _quantile(len(state.samples) - 1) * error
    return value, error, Interval(value - half, value + half, _LEVEL)


def _estimate(state: TraceState) -> tuple[float, float]:
    samples = torch.tensor(state.samples, dtype=torch.float64)
    count = len(samples)
    error = float(samples.std()) / math.sqrt(count) if count > 1 else math.inf
    return state.exact + float(samples.mean()), error


def _quantile(freedom: int) -> float:
    """Of Student's t at 99.5%, by Hill's expansion about the normal quantile."""
    if freedom < 1:
        return math.inf
    if freedom in _SMALL:
        return _SMALL[freedom]
    z = 2.5758293035489004
    g = 1 / freedom
    return z + g * (z**3 + z) / 4 + g**2 * (5 * z**5 + 16 * z**3 + 3 * z) / 96


_SMALL = {1: 63.657, 2: 9.925, 3: 5.841, 4: 4.604}
