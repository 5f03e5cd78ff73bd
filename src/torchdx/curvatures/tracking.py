"""The largest eigenvalue followed through training: two or three products from the last vector.

A lower bound (a Rayleigh quotient) without a statement about what it misses; a cold or warm
`extremes()` certifies. Within the Krylov space of a vector that was the eigenvector a few steps ago
the quotient is quadratically near.
"""

from dataclasses import dataclass

from torchdx.curvatures.lanczos import Krylov
from torchdx.curvatures.local import Local
from torchdx.curvatures.results import Loss, Result, Spent, lines, short

_ENOUGH = 0.03  # residual against value: its square is below 0.1%
_ALMOST = 1e4  # length of the old vector against the random part


@dataclass(frozen=True, repr=False)
class Tracked(Result):
    """The largest eigenvalue is `value` or more; one lies within `residual` of it."""

    value: float
    residual: float
    about: Loss
    spent: Spent

    def __str__(self) -> str:
        rows = {"at least": f"{short(self.value)}, an eigenvalue within {short(self.residual)}"}
        rows["note"] = "a lower bound: extremes() certifies"
        return lines("largest eigenvalue, followed", rows, self.about, self.spent)


def track(local: Local, products: int) -> Tracked:
    """A few products from the vector that a warm start was given, or from the best one known."""
    with local.counted() as spent:
        own = local.spectrum.krylov
        warm = local.sharpest()
        basis = Krylov(
            local.product,
            own.n,
            dtype=own.dtype,
            device=own.device,
            seed=local.seed,
            warm=warm,
            mix=1 / _ALMOST,
            exact=local.hessian.is_exact,
            agreed=local.objective.decided if local.objective.ranks > 1 else None,
        )
        while len(basis) < min(products, basis.n):
            basis.extend()
            ritz = basis.ritz()
            if ritz.residuals[-1] <= _ENOUGH * abs(ritz.values[-1]):
                break
        ritz = basis.ritz()
        local.warm = basis.vector(len(basis) - 1)
    return Tracked(ritz.values[-1], ritz.residuals[-1], local.about(), spent())
