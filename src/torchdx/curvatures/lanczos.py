"""One Krylov basis, grown as far as the questions need it.

Lanczos with full reorthogonalisation: a pass of classical Gram-Schmidt against the last two
vectors, which hold all of a symmetric operator's image but rounding, one against the whole basis,
and one more where that leaves little. Each is two matrix-vector products; the device is read from
once per product. Where the basis spans an invariant subspace it goes on from a new random
vector orthogonal to it, so that multiple eigenvalues are met again.

Sources: Parlett 1998 (The Symmetric Eigenvalue Problem, ch. 13); Giraud et al. 2005 ("twice is
enough"). The bounds: `torchdx.curvatures.bounds`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from torchdx.curvatures import bounds
from torchdx.curvatures.vectors import gaussian, length
from torchdx.errors import CallError

FIRST_ROWS = 32
ROUNDING = 32.0  # of the dtype's epsilon times the spectral radius: what a Ritz value is worth
_BREAKDOWN = 100.0  # of the same: a residual below it is rounding
_CANCELLED = 0.1  # of what the last pass was given: what is left of it needs another
_SKEW, _LEAST_SKEW = 1000.0, 1e-9

Product = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Ritz:
    """Eigenpairs of the tridiagonal matrix, ascending.

    values     (k,)
    weights    squared first components, of the first start alone: a quadrature rule
    residuals  (k,): an eigenvalue lies that near
    vectors    (k, k) in the basis, one a column
    """

    values: list[float]
    weights: list[float]
    residuals: list[float]
    vectors: torch.Tensor


@dataclass(frozen=True)
class _Part:
    """The part of the tridiagonal matrix that belongs to one start, of either sign."""

    alphas: list[float]
    betas: list[float]

    def bound(self, needed: float, *, top: bool) -> float:
        """How far out an eigenvalue may lie; see `bounds.upper`."""
        sign = 1.0 if top else -1.0
        alphas = [sign * alpha for alpha in self.alphas]
        highest = float(torch.linalg.eigvalsh(_matrix(alphas, self.betas[:-1]))[-1])
        return sign * bounds.upper(highest, alphas, self.betas, needed)

    def growth(self, at: float, *, top: bool) -> float:
        """See `bounds.log_growth`."""
        sign = 1.0 if top else -1.0
        return bounds.log_growth(sign * at, [sign * a for a in self.alphas], self.betas)


class Krylov:
    """The basis of an operator of size n and its tridiagonal matrix.

    Args:
        product: a vector (n,) to operator times vector.
        seed: of the random start.
        warm: a unit vector (n,) that the start leans to; `mix` is the length of the random part
            against it. Bounds stay valid; weights for a density do not.
        agreed: makes numbers the same on all ranks.
        room_bytes: for the basis.
        exact: whether products are those of a symmetric operator up to rounding; else asymmetry is
            noted, not refused.
    """

    def __init__(  # noqa: PLR0913  # what a basis is made of
        self,
        product: Product,
        n: int,
        *,
        dtype: torch.dtype,
        device: torch.device,
        seed: int = 0,
        warm: torch.Tensor | None = None,
        mix: float = 0.3,
        agreed: Product | None = None,
        room_bytes: float = math.inf,
        exact: Callable[[], bool] = lambda: True,
    ) -> None:
        self.n, self.dtype, self.device = n, dtype, device
        self.skew = 0.0
        self.alphas: list[float] = []
        self.betas: list[float] = []
        self._product, self._agreed, self._exact = product, agreed, exact
        self._generator = torch.Generator().manual_seed(seed)
        self._most = n if math.isinf(room_bytes) else int(room_bytes // (n * dtype.itemsize))
        self._basis = torch.empty((min(FIRST_ROWS, n), n), dtype=dtype, device=device)
        self._starts = [0]
        self._norms: list[float] = []
        self._ritz: Ritz | None = None
        self._values: list[float] | None = None
        self.warm = warm is not None
        self._lean = None if warm is None else (math.sqrt(n) / mix) * warm

    def __len__(self) -> int:
        return len(self.alphas)

    @property
    def vectors(self) -> torch.Tensor:
        """The basis, (k, n), orthonormal rows."""
        return self._basis[: len(self)]

    @property
    def values(self) -> list[float]:
        """Ritz values, ascending; cheaper than `ritz`."""
        if self._values is None:
            found = torch.linalg.eigvalsh(_matrix(self.alphas, self._linked()))
            self._values = found.tolist()
        return self._values

    @property
    def radius(self) -> float:
        """Largest magnitude of a Ritz value."""
        return max(map(abs, self.values)) if self.alphas else 0.0

    @property
    def rounding(self) -> float:
        """Below what two eigenvalues, or one and 0, cannot be told apart."""
        worth = _BREAKDOWN if len(self._starts) > 1 else ROUNDING
        return worth * torch.finfo(self.dtype).eps * self.radius

    @property
    def whole(self) -> bool:
        """Whether the basis spans the whole space, or memory has no room for more of it."""
        return len(self) >= min(self.n, max(self._most, 2))

    def extend(self) -> None:
        """Make one product more.

        Raises:
            CallError: the product is not finite, or the operator is not symmetric.
        """
        k = len(self)
        if not k:
            self._begin()
        self._grow(k + 1)
        self._basis[k] = self._next
        image = self._product(self._next).to(self.dtype)
        basis, near = self._basis[: k + 1], self._basis[max(k - 1, 0) : k + 1]
        first = near @ image
        rest = torch.addmv(image, near.T, first, alpha=-1)
        second = basis @ rest
        rest = rest.addmv_(basis.T, second, alpha=-1)
        told = torch.cat([second, first[-1:], torch.linalg.vector_norm(rest).view(1)]).double()
        *seen, near_alpha, beta = (told if self._agreed is None else self._agreed(told)).tolist()
        alpha, skew_seen = near_alpha + seen[k], max(map(abs, seen[: max(k - 1, 0)]), default=0.0)
        if not math.isfinite(alpha) or not math.isfinite(beta):
            raise CallError(_NOT_FINITE)
        size = math.hypot(alpha, beta, self.betas[-1] if self.betas else 0.0)
        if beta < _CANCELLED * math.hypot(*seen, beta):
            rest = rest.addmv_(basis.T, basis @ rest, alpha=-1)
            told = torch.linalg.vector_norm(rest).double()
            beta = float(told if self._agreed is None else self._agreed(told))
        self._take(alpha, beta, rest)
        self._judge(skew_seen, size)

    def ritz(self) -> Ritz:
        """Eigenpairs of what is there; kept until the basis grows."""
        if self._ritz is None:
            values, vectors = torch.linalg.eigh(_matrix(self.alphas, self._linked()))
            residuals = (self.betas[-1] * vectors[-1].abs()).tolist()
            weights = vectors[0].square().tolist()
            self._ritz = Ritz(values.tolist(), weights, residuals, vectors)
        return self._ritz

    def vector(self, index: int) -> torch.Tensor:
        """The Ritz vector (n,) of a position in ascending order."""
        coefficients = self.ritz().vectors[:, index].to(self.device, self.dtype)
        found = self.vectors.T @ coefficients
        unit: torch.Tensor = found / torch.linalg.vector_norm(found)
        return unit

    def above(self, failure: float) -> float:
        """Upper bound on the largest eigenvalue, wrong with probability `failure` at most."""
        if len(self) >= self.n:
            return self.values[-1] + self.rounding
        needed = bounds.log_needed(self._norms[0], failure)
        bound = self._first().bound(needed, top=True)
        return max(bound, self.values[-1]) + self.rounding

    def below(self, failure: float) -> float:
        """Lower bound on the smallest eigenvalue, wrong with probability `failure` at most."""
        if len(self) >= self.n:
            return self.values[0] - self.rounding
        needed = bounds.log_needed(self._norms[0], failure)
        bound = self._first().bound(needed, top=False)
        return min(bound, self.values[0]) - self.rounding

    def unseen(self, failure: float, *, top: bool = True) -> float:
        """How far out an eigenvalue may lie whose vector is orthogonal to all finished starts.

        Before the first start is finished, this is no bound at all, so as not to ask of every net
        that its eigenvalues be simple: -inf at the top. After it, copies of multiple eigenvalues
        are what may be missing.
        """
        sign = 1.0 if top else -1.0
        if len(self._starts) == 1 or len(self) >= self.n:
            return -sign * math.inf
        begin = self._starts[-1]
        if begin == len(self):
            return sign * math.inf
        needed = bounds.log_needed(self._norms[-1], failure)
        return self._part(begin, len(self)).bound(needed, top=top)

    def excess(
        self, at: float, failure: float, *, top: bool = True, size: int | None = None
    ) -> float:
        """At or above 0: no eigenvalue lies beyond `at`. In units of the logarithm of growth.

        Args:
            at: right of all Ritz values for the top end, left of them for the other.
            failure: probability of being wrong.
            top: which end.
            size: by that many vectors of the basis alone, all by default.
        """
        if len(self) >= self.n and size is None:
            return math.inf
        grown = self._first(size).growth(at, top=top)
        return grown - bounds.log_needed(self._norms[0], failure)

    def _begin(self) -> None:
        start = self._random()
        if self._lean is not None:
            start = start + self._lean.to(start)
        self._norms.append(length(start))
        self._next = start / self._norms[0]

    def _random(self) -> torch.Tensor:
        return gaussian(self.n, self.dtype, self.device, self._generator)

    def _grow(self, rows: int) -> None:
        if rows > len(self._basis):
            wider = torch.empty(
                (min(2 * len(self._basis), self.n), self.n), dtype=self.dtype, device=self.device
            )
            wider[: len(self._basis)] = self._basis
            self._basis = wider

    def _take(self, alpha: float, beta: float, rest: torch.Tensor) -> None:
        self.alphas.append(alpha)
        self._ritz = self._values = None
        scale = max(*map(abs, self.alphas), *self.betas, 0.0)
        self.betas.append(beta)
        if beta > _BREAKDOWN * torch.finfo(self.dtype).eps * scale:
            self._next = rest.div_(beta)
        elif len(self) < self.n:
            self._next = self._orthogonal()
            self._starts.append(len(self))

    def _orthogonal(self) -> torch.Tensor:
        found = self._random()
        for _ in range(3):
            found = torch.addmv(found, self.vectors.T, self.vectors @ found, alpha=-1)
        self._norms.append(length(found))
        unit: torch.Tensor = found / torch.linalg.vector_norm(found)
        return unit

    def _judge(self, seen: float, image_size: float) -> None:
        """A symmetric operator's image has no part along older vectors of the basis."""
        scale = max(image_size, *map(abs, self.alphas))
        if scale == 0:
            return
        self.skew = max(self.skew, seen / scale)
        if self.skew > skew_limit(self.dtype) and self._exact():
            msg = _SKEWED.format(self.skew)
            raise CallError(msg)

    def _first(self, most: int | None = None) -> _Part:
        end = self._starts[1] if len(self._starts) > 1 else len(self)
        return self._part(0, min(end, most or end))

    def _part(self, begin: int, end: int) -> _Part:
        """What one start has come to."""
        betas = [*self.betas[begin : end - 1], 0.0 if end in self._starts else self.betas[end - 1]]
        return _Part(self.alphas[begin:end], betas)

    def _linked(self) -> list[float]:
        """The subdiagonal: nothing links one start to the next."""
        return [0.0 if i + 1 in self._starts else b for i, b in enumerate(self.betas[:-1])]


def _matrix(alphas: list[float], betas: list[float]) -> torch.Tensor:
    inner = torch.tensor(betas, dtype=torch.float64)
    middle = torch.tensor(alphas, dtype=torch.float64)
    return torch.diag(middle) + torch.diag(inner, 1) + torch.diag(inner, -1)


def skew_limit(dtype: torch.dtype) -> float:
    """The relative asymmetry beyond which it is no longer rounding."""
    return max(_SKEW * torch.finfo(dtype).eps, _LEAST_SKEW)


_NOT_FINITE = (
    "A product with the Hessian is not finite: the second derivative of the loss overflows or is "
    "undefined at these weights. Look for sqrt, norm or log at 0; torch.autograd.detect_anomaly() "
    "names the operation."
)
_SKEWED = (
    "The operator is not symmetric (relative asymmetry {:.1e}), so it is no Hessian and has no "
    "real spectrum to report. Likely a double backward that is wrong (in torch 2.13: weight_norm), "
    "or products that draw random numbers. check() says which operations are suspect; "
    "method='secant' uses gradients alone."
)
