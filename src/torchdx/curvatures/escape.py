"""Ways down from a saddle, with the loss before and after as proof.

Along negative curvature: f(w + t v) for steps that double, either way. By noise: a small random
shift, then gradient descent, against gradient descent without the shift.

Sources: Ge et al. 2015 and Jin et al. 2017 (perturbed gradient descent): noise escapes a *strict*
saddle in polynomial time; nothing is promised where the Hessian has no negative eigenvalue.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from torchdx.curvatures.local import Local
from torchdx.curvatures.results import Loss, Result, Spent, lines, short
from torchdx.curvatures.vectors import dot, gaussian, length
from torchdx.errors import CallError

_FIRST, _DOUBLINGS = 1e-3, 14  # of the scale of the weights
_NEARLY = 0.1  # residual against value
_AROUND = (0.6, 0.8, 1.2, 1.4, 1.6)  # of the best of those
_NEGATIVE_PRODUCTS = 40


@dataclass(frozen=True, repr=False)
class Escape(Result):
    """A way down, or that none was found.

    by          "curvature" or "noise"
    escaped     whether the loss fell by more than its rounding, beyond what is fallen without
    before, after  the loss at the weights and where the way led
    without     the loss where plain gradient descent led in as many steps; None along curvature
    curvature   along the direction, from the Ritz value; nan by noise
    distance    from the weights
    shift       (n,): add it to the weights to go there
    """

    by: str
    escaped: bool
    before: float
    after: float
    without: float | None
    curvature: float
    distance: float
    shift: torch.Tensor
    about: Loss
    spent: Spent

    def __str__(self) -> str:
        rows = {"loss": f"{short(self.before)} before, {short(self.after)} after"}
        if self.without is not None:
            rows["without"] = f"{short(self.without)} by gradient descent without noise"
        else:
            rows["curvature"] = f"{short(self.curvature)} along the direction"
        rows["distance"] = short(self.distance)
        done = "the loss falls" if self.escaped else "no way down found"
        if not self.escaped and self.without is not None and self.without < self.before:
            done = "not needed, gradient descent gets down without it"
        return lines(f"escape by {self.by}: {done}", rows, self.about, self.spent)


def by_curvature(local: Local, *, products: int = _NEGATIVE_PRODUCTS) -> Escape:
    """Search along the lowest Ritz vector, both ways.

    Raises:
        CallError: no negative curvature was found.
    """
    with local.counted() as spent:
        _find(local, products)
        krylov = local.spectrum.krylov
        lowest = krylov.ritz().values[0]
        if lowest >= -krylov.rounding:
            msg = (
                f"No direction of negative curvature was found in {len(krylov)} products (lowest "
                f"{short(lowest)}), so there is none to escape along. critical() tells what this "
                "point is; escape(by='noise') needs no direction."
            )
            raise CallError(msg)
        direction = krylov.vector(0)
        if dot(direction, local.gradient) > 0:
            direction = -direction
        before = local.objective.value()
        after, reach = _best(local, direction)
    return Escape(
        "curvature", after < before - local.rounding, before, after, None, lowest, abs(reach),
        reach * direction, local.about(), spent(),
    )  # fmt: skip


def by_noise(
    local: Local,
    *,
    radius: float | None = None,
    steps: int = 50,
    lr: float | None = None,
    seed: int = 0,
) -> Escape:
    """Shift the weights at random, then descend; beside it the descent without the shift.

    Args:
        local: the loss near the weights.
        radius: length of the shift; 1e-3 of that of the weights by default.
        steps: of gradient descent.
        lr: its step size; the inverse of the spectral radius by default.
        seed: of the shift.
    """
    with local.counted() as spent:
        local.spectrum.grow(8)
        top = local.spectrum.krylov.radius
        lr = (1 / top if top else 1e-2) if lr is None else lr
        radius = _FIRST * _scale(local) if radius is None else radius
        layout = local.objective.layout
        generator = torch.Generator().manual_seed(seed)
        noise = gaussian(layout.size, layout.dtype, layout.device, generator)
        noise = noise * (radius / length(noise))
        before = local.objective.value()
        end = _descended(local, local.weights + noise, lr, steps)
        plain = _descended(local, local.weights, lr, steps)
        after, without = local.objective.value(end), local.objective.value(plain)
    shift = end - local.weights
    escaped = after < min(before, without) - local.rounding
    return Escape(
        "noise", escaped, before, after, without, math.nan, length(shift), shift, local.about(),
        spent(),
    )  # fmt: skip


def _find(local: Local, products: int) -> None:
    """Extend the basis until its lowest vector is nearly an eigenvector of negative curvature."""
    krylov = local.spectrum.krylov

    def enough() -> bool:
        ritz = krylov.ritz()
        return ritz.residuals[0] <= -_NEARLY * ritz.values[0]

    local.spectrum.grow(products, enough)


def _best(local: Local, direction: torch.Tensor) -> tuple[float, float]:
    """The lowest loss met, and how far; nan counts as no way."""
    tried = [(local.value_at(t * direction), t) for t in _reaches(_scale(local))]
    best = min((pair for pair in tried if math.isfinite(pair[0])), default=(math.inf, 0.0))
    near = [(local.value_at(f * best[1] * direction), f * best[1]) for f in _AROUND]
    return min((pair for pair in (best, *near) if math.isfinite(pair[0])), default=best)


def _reaches(scale: float) -> Iterator[float]:
    for doubling in range(_DOUBLINGS):
        yield _FIRST * scale * 2**doubling
        yield -_FIRST * scale * 2**doubling


def _scale(local: Local) -> float:
    return length(local.weights) or 1.0


def _descended(local: Local, at: torch.Tensor, lr: float, steps: int) -> torch.Tensor:
    for _ in range(steps):
        at = at - lr * local.objective.gradient(at)
    return at
