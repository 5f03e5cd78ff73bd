"""Where training stands: still descending, at a saddle, at a minimum, or it cannot be told.

The gradient counts as zero when it is below its own sampling noise, or when the best step along it
promises next to nothing. Then the smallest eigenvalue decides: a Ritz value below zero proves a
strict saddle, a lower bound above zero certifies a minimum.

Sources: Nocedal and Wright 2006 (Numerical Optimization, thm 2.4); Byrd et al. 2012 for the norm
test of the gradient; `torchdx.curvatures.bounds` for the certificate.
"""

import math
from dataclasses import dataclass

import torch

from torchdx.curvatures.local import Local
from torchdx.curvatures.results import Interval, Loss, Result, Spent, layers, lines, short
from torchdx.curvatures.spectrum import LEVEL, failure_of
from torchdx.curvatures.vectors import dot, length

ZERO = 100.0  # epsilons of the dtype times the radius: an eigenvalue below is no different from 0
PROMISE = 1e-6  # of the loss: a gradient step that promises less does not descend
# Times what the weights' own rounding does to the gradient, eps |w| radius: no gradient below is
# told from 0. At interpolating minima of linear nets and of least squares 0.07 to 1.4 were met.
ROUNDING = 10.0
_RADIUS_PRODUCTS = 6
_LOOK_EACH = 2
_IN_NOISE = "; the gradient is below its sampling noise (full_batch=True judges this batch alone)"


@dataclass(frozen=True, repr=False)
class Critical(Result):
    """A verdict on the weights as a critical point.

    verdict        "descending", "strict saddle", "minimum", "degenerate" or "undecided"
    because        the numbers that decided
    gradient_norm  of the loss; `noise_norm` is that of its sampling error, None where unknown
    promise        decrease that the best step along the gradient promises, in units of the loss
    lowest         the smallest eigenvalue
    radius         the largest magnitude of an eigenvalue met
    products_more  that would decide an undecided one, by extrapolation; None: unknown
    direction      (n,) of negative curvature, where there is one
    """

    verdict: str
    because: str
    gradient_norm: float
    noise_norm: float | None
    promise: float
    lowest: Interval
    radius: float
    products_more: int | None
    direction: torch.Tensor | None
    shares: dict[str, float]
    about: Loss
    spent: Spent

    def __str__(self) -> str:
        rows = {"because": self.because}
        noise = "" if self.noise_norm is None else f", its noise {short(self.noise_norm)}"
        rows["gradient"] = f"norm {short(self.gradient_norm)}{noise}"
        rows["lowest"] = f"{self.lowest} against a radius of {short(self.radius)}"
        if self.shares:
            rows["direction"] = f"lives in {layers(self.shares)}"
        if self.products_more is not None:
            rows["to decide"] = f"about {self.products_more} products more"
        return lines(f"critical point: {self.verdict}", rows, self.about, self.spent)


def critical(
    local: Local,
    *,
    products: int = 60,
    level: float = LEVEL,
    gradient_tol: float | None = None,
    full_batch: bool = False,
) -> Critical:
    """Judge the weights.

    Args:
        local: the loss near them.
        products: in the basis at most.
        level: of the certificate.
        gradient_tol: a gradient norm that counts as zero, in place of the rules above.
        full_batch: the batch is all the data: its gradient has no sampling noise.
    """
    with local.counted() as spent:
        norm = length(local.gradient)
        local.spectrum.grow(min(_RADIUS_PRODUCTS, products))
        noise = None if full_batch or not norm else local.objective.noise()
        noise_norm = None if noise is None else math.sqrt(noise)
        promise = _promise(local)
        slope = _slope(local, norm, noise_norm, promise, gradient_tol)
        if not slope:
            _settle(local, products, level)
        lowest = local.spectrum.ends(level)[1]
        verdict, because = ("descending", slope) if slope else _judged(local, lowest)
        if not slope and noise_norm is not None and norm <= noise_norm:
            because += _IN_NOISE
        down = lowest.high < -zero_of(local)
        direction = _downwards(local) if down else None
        more = _more(local, failure_of(level, top=False)) if verdict == "undecided" else None
    shares = {} if direction is None else local.objective.layout.shares(direction)
    radius = local.spectrum.krylov.radius
    return Critical(
        verdict, because, norm, noise_norm, promise, lowest, radius, more, direction, shares,
        local.about(), spent(),
    )  # fmt: skip


def _downwards(local: Local) -> torch.Tensor:
    """The lowest Ritz vector, on the side where the loss does not rise at first order."""
    vector = local.spectrum.krylov.vector(0)
    return -vector if dot(vector, local.gradient) > 0 else vector


def zero_of(local: Local) -> float:
    """Below what an eigenvalue is not told from 0; a basis of several starts rounds more."""
    krylov = local.spectrum.krylov
    least = ZERO * torch.finfo(local.objective.layout.dtype).eps * krylov.radius
    return max(least, 2 * krylov.rounding)


def _rounding(local: Local) -> float:
    """Norm of a gradient that is no different from 0."""
    eps = torch.finfo(local.objective.layout.dtype).eps
    return ROUNDING * eps * length(local.weights) * local.spectrum.krylov.radius


def _promise(local: Local) -> float:
    """Decrease that a gradient step of length 1/radius promises at least: |g|^2 / 2 radius."""
    radius, norm = local.spectrum.krylov.radius, length(local.gradient)
    if not norm:
        return 0.0
    return norm**2 / (2 * radius) if radius else math.inf


def _slope(
    local: Local, norm: float, noise: float | None, promise: float, tol: float | None
) -> str:
    """Why the gradient counts; empty where it does not."""
    if tol is not None:
        return "" if norm <= tol else f"|g| = {short(norm)} is above the given {short(tol)}"
    if noise is not None and norm <= noise:
        return ""
    if promise <= PROMISE * abs(local.value) or norm <= _rounding(local):
        return ""
    against = "" if noise is None else f", {norm / noise:.1f} times its noise"
    share = f" of the loss {short(local.value)}"
    return f"a step along the gradient promises {short(promise)}{share}{against}"


def _settle(local: Local, products: int, level: float) -> None:
    """Grow the basis until the smallest eigenvalue has a sign."""
    spectrum = local.spectrum

    def enough() -> bool:
        basis, zero = spectrum.krylov, zero_of(local)
        if basis.ritz().values[0] < -max(zero, basis.ritz().residuals[0] / 10):
            return True
        if len(basis) % _LOOK_EACH and not basis.whole:
            return False
        low = spectrum.ends(level)[1]
        return low.low > zero or (low.low >= -zero and low.high <= zero)

    spectrum.grow(products, enough)


def _judged(local: Local, lowest: Interval) -> tuple[str, str]:
    zero, radius = zero_of(local), local.spectrum.krylov.radius
    if lowest.level is None:
        return "undecided", "differences of gradients certify nothing"
    if not radius:
        return "degenerate", "the Hessian is 0: higher derivatives decide"
    if lowest.high < -zero:
        return (
            "strict saddle",
            f"a direction of curvature {short(lowest.high)} or below is proven; try escape()",
        )
    if lowest.low > zero:
        return "minimum", f"every eigenvalue is {short(lowest.low)} or more"
    if lowest.low >= -zero and lowest.high <= zero:
        return (
            "degenerate",
            f"the smallest eigenvalue is 0 within {short(zero)}, the rounding of this precision",
        )
    return "undecided", f"the smallest eigenvalue may lie on either side of 0: {lowest}"


def _more(local: Local, failure: float) -> int | None:
    """Products until the lower bound passes zero: its growth is about linear in their number."""
    krylov = local.spectrum.krylov
    at = -zero_of(local)
    half = len(krylov) // 2
    missing = -krylov.excess(at, failure, top=False)
    if half == 0 or not 0 < missing < math.inf:
        return None
    gained = krylov.excess(at, failure, top=False) - krylov.excess(
        at, failure, top=False, size=half
    )
    return math.ceil(missing * (len(krylov) - half) / gained) if gained > 0 else None
