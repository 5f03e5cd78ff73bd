"""Questions about a symmetric operator that one Krylov basis answers together."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from torchdx.curvatures.density import Density, density_of
from torchdx.curvatures.lanczos import Krylov, Product
from torchdx.curvatures.results import Interval, Loss, Result, Spent, layers, lines, short
from torchdx.curvatures.trace import Trace, TraceState, trace_of
from torchdx.errors import CallError

LEVEL = 0.99
TOL = 1e-3
_CHECK_EACH = 60  # products up to which each is followed by a look whether it was enough
_FAILS_TOP, _FAILS_BOTTOM = 0.4, 0.1  # shares of what both ends may; half is spare for rounding
_LEAST_SHARE = 0.1  # of the radius: below, an end is told relative to that
_TRACE_BASIS = 10
_DENSITY_BASIS = 20

About = Callable[[], Loss]


@dataclass(frozen=True, repr=False)
class Extremes(Result):
    """Both ends of the spectrum.

    highest, lowest  hold together with their level; the inner ends are proofs (Ritz values)
    certified        whether `highest` is as narrow as was asked for
    """

    highest: Interval
    lowest: Interval
    certified: bool
    about: Loss
    spent: Spent

    def __str__(self) -> str:
        rows = {"highest": str(self.highest), "lowest": str(self.lowest)}
        if self.highest.level is None:
            rows["note"] = "differences of gradients: an estimate, nothing is certified"
        elif not self.certified:
            rows["note"] = "wider than asked for: allow more products"
        what = "operator" if self.about.method == "foreign" else "Hessian"
        return lines(f"eigenvalues of the {what}", rows, self.about, self.spent)


@dataclass(frozen=True, repr=False)
class Eigenpairs(Result):
    """Some eigenvalues with their vectors, the outermost first.

    residuals  an eigenvalue lies that near to each value; a multiple one is listed once until the
               basis is exhausted
    vectors    for each, (n,) unit length
    named      the same by parameter
    shares     for each, the share of each layer in its squared length
    converged  whether all residuals are as small as was asked for
    """

    values: tuple[float, ...]
    residuals: tuple[float, ...]
    vectors: tuple[torch.Tensor, ...]
    named: tuple[dict[str, torch.Tensor], ...]
    shares: tuple[dict[str, float], ...]
    converged: bool
    about: Loss
    spent: Spent

    def __str__(self) -> str:
        rows = {}
        for index, (value, residual) in enumerate(zip(self.values, self.residuals, strict=True)):
            told = layers(self.shares[index]) if self.shares else ""
            rows[f"{index}"] = f"{short(value)} ± {residual:.1e}  {told}".rstrip()
        return lines("eigenvalues and the layers they live in", rows, self.about, self.spent)


class _Counted:
    """A product that counts; it refers to no basis, so that one is freed without a collector."""

    def __init__(self, product: Product) -> None:
        self._product, self.made = product, 0

    def __call__(self, vector: torch.Tensor) -> torch.Tensor:
        self.made += 1
        return self._product(vector)


class Spectrum:
    """An operator's spectrum, asked as often as you like; products are never made twice.

    Args:
        product: a vector (n,) to operator times vector; must be symmetric.
        n: its size.
        dtype, device: of vectors.
        seed: of the random start. Bounds hold with their level over it.
        about: what the operator is.
        named: a vector by parameter; shares: by layer. Both empty for foreign operators.
        exact: whether products are exact up to rounding; else no interval has a level.
    """

    def __init__(  # noqa: PLR0913  # what an operator is known by
        self,
        product: Product,
        n: int,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        seed: int = 0,
        about: About | None = None,
        warm: torch.Tensor | None = None,
        agreed: Product | None = None,
        named: Callable[[torch.Tensor], dict[str, torch.Tensor]] | None = None,
        shares: Callable[[torch.Tensor], dict[str, float]] | None = None,
        room_bytes: float = math.inf,
        exact: Callable[[], bool] = lambda: True,
    ) -> None:
        if n < 1:
            msg = f"An operator of size {n} has no spectrum; n must be 1 or more."
            raise CallError(msg)
        self.n, self.seed = n, seed
        self._dtype, self._device = dtype, torch.device(device)
        self._product, self._agreed, self._room = _Counted(product), agreed, room_bytes
        self._about = about or (lambda: _foreign(n, dtype, self._device))
        self._named, self._shares, self._exact = named, shares, exact
        self._trace: TraceState | None = None
        self._densities: list[Krylov] = []
        self.krylov = self._basis(seed, warm)

    @property
    def products(self) -> int:
        """Made so far, for all questions together."""
        return self._product.made

    def extremes(self, tol: float = TOL, *, products: int = 100, level: float = LEVEL) -> Extremes:
        """Largest and smallest eigenvalue, between bounds that hold together with `level`.

        Goes on until the interval of the largest is narrower than `tol` of it, or `products` are
        in the basis. Inner ends are Ritz values; outer ends are those of
        `torchdx.curvatures.bounds`.

        Raises:
            CallError: the operator is not symmetric, or not finite.
        """
        with self._counted() as spent:
            reached = self.grow(products, lambda: self._is_certified(tol, level))
            high, low = self.ends(level)
        return Extremes(
            high,
            low,
            reached and high.level is not None,
            self._about(),
            spent(),
        )

    def top(
        self, k: int = 1, *, tol: float = TOL, which: str = "largest", products: int | None = None
    ) -> Eigenpairs:
        """The outermost `k` eigenvalues and their vectors.

        Args:
            k: how many.
            tol: of each residual against its value.
            which: "largest", "smallest" or "magnitude".
            products: in the basis at most; 40 + 10 k by default.

        Raises:
            CallError: the operator is not symmetric, or `k` is not possible.
        """
        if not 1 <= k <= self.n or which not in _ORDERS:
            msg = f"top(k={k}, which={which!r}): k is 1 to {self.n}, which is {', '.join(_ORDERS)}."
            raise CallError(msg)
        with self._counted() as spent:
            most = 40 + 10 * k if products is None else products
            done = self.grow(most, lambda: self._has_converged(k, tol, which))
            chosen = self._chosen(k, which)
            vectors = tuple(self.krylov.vector(i) for i in chosen)
            ritz = self.krylov.ritz()
        return Eigenpairs(
            tuple(ritz.values[i] for i in chosen),
            tuple(ritz.residuals[i] + self.krylov.rounding for i in chosen),
            vectors,
            tuple(map(self._named, vectors)) if self._named else (),
            tuple(map(self._shares, vectors)) if self._shares else (),
            done,
            self._about(),
            spent(),
        )

    def trace(self, tol: float = 0.03, *, products: int = 30) -> Trace:
        """The sum of all eigenvalues, with its standard error.

        What the basis holds is summed exactly; the rest is estimated by random vectors orthogonal
        to it, until the 99% half-width is below `tol` of the value or `products` were made.
        """
        with self._counted() as spent:
            if self._trace is None:
                self.grow(_TRACE_BASIS)
                self._trace = TraceState(self.krylov, self._product, self.seed + 1)
            value, error, interval = trace_of(self._trace, tol, products)
        return Trace(value, error, interval, self._about(), spent())

    def density(self, *, starts: int = 1, steps: int | None = None) -> Density:
        """How eigenvalues are distributed, from the basis that is there (stochastic Lanczos).

        Args:
            starts: random starts to average over; further ones cost `steps` products each.
            steps: in each basis; what is there, but 20 or more, by default.
        """
        with self._counted() as spent:
            bases = [] if self.krylov.warm else [self.krylov]
            while len(bases) + len(self._densities) < starts or not (bases or self._densities):
                self._densities.append(self._basis(self.seed + 101 + len(self._densities), None))
            bases += self._densities
            least = max(len(self.krylov), _DENSITY_BASIS) if steps is None else steps
            for basis in bases[:starts]:
                _grow(basis, least)
            found = density_of(bases[:starts], self.n)
        return Density(*found, self._about(), spent())

    def ends(self, level: float) -> tuple[Interval, Interval]:
        """Intervals of the largest and the smallest eigenvalue, both at once, as known by now."""
        basis = self.krylov
        ritz, slack = basis.ritz(), basis.rounding
        held = level if self._exact() else None
        above, below = (failure_of(level, top=top) for top in (True, False))
        high = Interval(ritz.values[-1] - slack, basis.above(above), held)
        low = Interval(basis.below(below), ritz.values[0] + slack, held)
        return high, low

    def grow(self, products: int, enough: Callable[[], bool] = lambda: False) -> bool:
        """Extend the basis until it is enough, or `products` long; tells whether it was enough."""
        return _grow(self.krylov, products, enough)

    def _basis(self, seed: int, warm: torch.Tensor | None) -> Krylov:
        return Krylov(
            self._product,
            self.n,
            dtype=self._dtype,
            device=self._device,
            seed=seed,
            warm=warm,
            agreed=self._agreed,
            room_bytes=self._room,
            exact=self._exact,
        )

    def _is_certified(self, tol: float, level: float) -> bool:
        basis = self.krylov
        top = basis.values[-1]
        width = tol * max(abs(top), _LEAST_SHARE * basis.radius)
        if not width:
            return basis.whole
        return basis.excess(top + width, failure_of(level, top=True)) >= 0

    def _has_converged(self, k: int, tol: float, which: str) -> bool:
        if len(self.krylov) < min(k + 1, self.n):
            return False
        ritz, slack = self.krylov.ritz(), self.krylov.rounding
        chosen = self._chosen(k, which)
        if any(ritz.residuals[i] > max(tol * abs(ritz.values[i]), slack) for i in chosen):
            return False
        return self._has_no_copies(ritz.values[chosen[-1]], slack, which)

    def _has_no_copies(self, last: float, slack: float, which: str) -> bool:
        """Whether a new start, if there was one, has nothing further out than the last value."""
        above = (
            self.krylov.unseen(1 - LEVEL) <= (abs(last) if which == "magnitude" else last) + slack
        )
        below = (
            self.krylov.unseen(1 - LEVEL, top=False)
            >= (-abs(last) if which == "magnitude" else last) - slack
        )
        return (above or which == "smallest") and (below or which == "largest")

    def _chosen(self, k: int, which: str) -> list[int]:
        values = self.krylov.values
        return sorted(range(len(values)), key=lambda i: _ORDERS[which](values[i]))[:k]

    @contextmanager
    def _counted(self) -> Iterator[Callable[[], Spent]]:
        made, began = self.products, time.process_time()
        yield lambda: Spent(self.products - made, 0, time.process_time() - began)


def failure_of(level: float, *, top: bool) -> float:
    """What an end of the spectrum may fail by, for both to hold together.

    The top has the larger share: it is asked for most, and it decides when a search ends.
    """
    return (1 - level) * (_FAILS_TOP if top else _FAILS_BOTTOM)


def spectrum(
    matvec: Product,
    n: int,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    seed: int = 0,
) -> Spectrum:
    """The spectrum of any symmetric operator: Gauss-Newton, Fisher, a kernel, another library's.

    Args:
        matvec: a vector (n,) to operator times vector (n,).
        n: its size.
        dtype: of the vectors it takes.
        device: of the same.
        seed: of the random start.

    Example:
        >>> import torch
        >>> values = torch.tensor([1.0, -1.0, 0.1])
        >>> found = spectrum(lambda v: values * v, 3).extremes()
        >>> round(found.highest.middle, 4), round(found.lowest.middle, 4)
        (1.0, -1.0)
    """
    return Spectrum(matvec, n, dtype=dtype, device=device, seed=seed)


def _grow(basis: Krylov, most: int, enough: Callable[[], bool] = lambda: False) -> bool:
    most = min(most, basis.n)
    while True:
        k = len(basis)
        look = k > 0 and (k <= _CHECK_EACH or k % (k // 10) == 0 or k >= most)
        if look and enough():
            return True
        if k >= most or basis.whole:
            return False
        basis.extend()


def _foreign(n: int, dtype: torch.dtype, device: torch.device) -> Loss:
    return Loss(
        value=math.nan,
        mode="as called",
        random=False,
        rows=None,
        batches=1,
        parameters=n,
        dtype=str(dtype),
        device=str(device),
        method="foreign",
        because="",
    )


_ORDERS: dict[str, Callable[[float], float]] = {
    "largest": lambda value: -value,
    "smallest": lambda value: value,
    "magnitude": lambda value: -abs(value),
}
