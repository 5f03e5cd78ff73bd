"""How far beyond the largest Ritz value an eigenvalue may hide: bounds from a random start.

Let `v` be the start, `u` a unit eigenvector of the largest eigenvalue `L`, and `p_0 = 1, p_1, ...`
the Lanczos polynomials, so that `p_i(A) v` are the orthonormal vectors of the basis. They are
orthonormal, and the i-th one's component along `u` is `p_i(L) (u.v)`; hence by Bessel

    (u.v)^2  sum_i p_i(L)^2  <=  1.

Right of the largest Ritz value the sum grows with its argument. If |u.v| >= d, then `L` is at most
the root `t` of `sum_i p_i(t)^2 = 1/d^2`. The event |u.v| >= d does not depend on the number of
products, so the bound may be looked at after each one, and be the rule to stop by.

For a start `x/|x|` with `x = z + w`, `z` standard normal and `w` any fixed vector, u.x is normal
with variance 1 about u.w; an interval about 0 has the most mass when the mean is 0 (Anderson 1955),
so P(|u.x| < e) <= P(|N(0,1)| < e) for any `w`: a warm start keeps the bound, with d = e/|x|.

Sources: Kuczynski and Wozniakowski 1992 (SIMAX 13), a priori; van Dorsselaer, Hochstenbach and van
der Vorst 2001 (SIMAX 22), a posteriori with the last polynomial alone; the sum over all of them is
at least as sharp.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist

_ITERATIONS = 60
_FARTHEST = 1e12  # times the spread of the Ritz values: there is no bound yet


def log_needed(norm: float, failure: float) -> float:
    """log(1/d^2): what the sum of squares must exceed.

    Args:
        norm: length of the unnormalised start `z + w`.
        failure: accepted probability that the bound does not hold, (0, 1).
    """
    least = NormalDist().inv_cdf((1 + failure) / 2)
    return 2 * math.log(norm / least)


def log_growth(at: float, alphas: Sequence[float], betas: Sequence[float]) -> float:
    """Log of `sum_i p_i(at)^2` over i = 0 ... k; -inf at the largest Ritz value and left of it.

    The ratios p_(i+1) / p_i are the pivots of at - T over the subdiagonal, and the pivots are all
    positive just where `at` lies right of every Ritz value (Sturm).

    Args:
        at: where, in units of the eigenvalues.
        alphas: diagonal of the tridiagonal matrix T (k).
        betas: subdiagonal with the last residual norm (k).
    """
    ratios, coupling = [], 0.0
    for alpha, beta in zip(alphas, betas, strict=True):
        pivot = at - alpha - coupling
        if pivot <= 0:
            return -math.inf
        if beta <= 0:
            return math.inf
        ratios.append(2 * math.log(pivot / beta))
        coupling = beta * beta / pivot
    total = 0.0
    for ratio in reversed(ratios):
        inner = ratio + total
        total = max(inner, 0.0) + math.log1p(math.exp(-abs(inner)))
    return total


def upper(top: float, alphas: Sequence[float], betas: Sequence[float], needed: float) -> float:
    """The least bound on the largest eigenvalue; inf while there is none.

    Args:
        top: the largest Ritz value.
        alphas: diagonal of the tridiagonal matrix (k).
        betas: subdiagonal with the last residual norm (k).
        needed: as from `log_needed`.
    """
    if betas[-1] <= 0:
        return top
    scale = max(top - min(alphas), abs(top), *betas)
    near, far = scale * 1e-17, scale
    while log_growth(top + far, alphas, betas) < needed:
        far *= 4
        if far > _FARTHEST * scale:
            return math.inf
    for _ in range(_ITERATIONS):
        middle = math.sqrt(near * far)
        if middle <= near or middle >= far or top + middle == top:
            break
        if log_growth(top + middle, alphas, betas) < needed:
            near = middle
        else:
            far = middle
        if far - near < 1e-4 * far:  # of the width; the outer end is returned
            break
    return top + far
