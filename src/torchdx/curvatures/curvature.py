"""`dx.curvature(...)`: questions about the loss around the weights of a net."""

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import torch
from torch import nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader

from torchdx.curvatures import blocks as of_blocks
from torchdx.curvatures import check as of_check
from torchdx.curvatures import convexity as of_convexity
from torchdx.curvatures import critical as of_critical
from torchdx.curvatures import escape as of_escape
from torchdx.curvatures import landscape as of_landscape
from torchdx.curvatures import stability as of_stability
from torchdx.curvatures import step as of_step
from torchdx.curvatures import tracking as of_tracking
from torchdx.curvatures.blocks import Blocks
from torchdx.curvatures.check import Check
from torchdx.curvatures.convexity import Convexity
from torchdx.curvatures.critical import Critical
from torchdx.curvatures.density import Density
from torchdx.curvatures.escape import Escape
from torchdx.curvatures.landscape import Reach, Slice
from torchdx.curvatures.limits import Limits, limits_of
from torchdx.curvatures.local import Local
from torchdx.curvatures.objective import Objective, of_closure, of_model
from torchdx.curvatures.spectrum import LEVEL, TOL, Eigenpairs, Extremes, Spectrum
from torchdx.curvatures.stability import Stability
from torchdx.curvatures.step import Step
from torchdx.curvatures.trace import Trace
from torchdx.curvatures.tracking import Tracked
from torchdx.errors import CallError

P = ParamSpec("P")
R = TypeVar("R")


def _asked(
    question: "Callable[Concatenate[Curvature, P], R]",
) -> "Callable[Concatenate[Curvature, P], R]":
    """A question: asked with everything held still, about one set of weights."""

    @functools.wraps(question)
    def held(self: "Curvature", /, *args: P.args, **kwargs: P.kwargs) -> R:
        objective = self._local.objective
        with objective.guard.held():
            objective.check_unmoved()
            return question(self, *args, **kwargs)

    return held


class Curvature:
    """The loss around the weights, asked as often as you like; products are never made twice.

    Every answer prints itself, and `as_dict()` gives it as plain data. Weights, buffers, gradients,
    modes, random states and the optimizer are bit for bit as before after each. The graph of the
    gradient is kept between questions: `release()` it, or use a `with` block, before going on with
    training where memory is short.
    """

    def __init__(self, make: Callable[[torch.Tensor | None], Local]) -> None:
        self._make = make
        self._local = make(None)
        self._scaled: tuple[Limits, Spectrum] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def __repr__(self) -> str:
        layout, made = self._local.objective.layout, self._local.hessian.products
        return f"<Curvature of {layout.size} parameters, {made} products so far>"

    @property
    def n(self) -> int:
        """How many numbers the weights are."""
        return self._local.objective.layout.size

    def release(self) -> None:
        """Let go of the graph; the next question that needs it makes it again."""
        self._local.hessian.release()

    def renew(self, *, warm: bool = True) -> "Curvature":
        """The same questions about the weights as they are now.

        Args:
            warm: begin near the largest eigenvector found last. Bounds stay valid: half of the
                start is random.
        """
        top = self._local.sharpest() if warm else None
        self.release()
        fresh = Curvature.__new__(Curvature)
        fresh._make, fresh._local, fresh._scaled = self._make, self._make(top), None
        return fresh

    @_asked
    def hvp(self, vector: Any) -> Any:
        """The Hessian times a vector: flat (n,), or by parameter name; answered in the same form.

        Raises:
            CallError: it has another size, or an operation has no second derivative.
        """
        layout = self._local.objective.layout
        if isinstance(vector, Mapping):
            pieces = [
                _piece(vector, n, s) for n, s in zip(layout.names, layout.shapes, strict=True)
            ]
            return layout.named(self._local.product(layout.flat(pieces)))
        if not isinstance(vector, torch.Tensor) or vector.numel() != layout.size:
            found = tuple(vector.shape) if isinstance(vector, torch.Tensor) else type(vector)
            msg = f"hvp() takes {layout.size} numbers, or tensors by parameter name; found {found}."
            raise CallError(msg)
        flat = vector.detach().reshape(-1).to(layout.device, layout.dtype)
        return self._local.product(flat)

    @_asked
    def extremes(self, tol: float = TOL, *, products: int = 100, level: float = LEVEL) -> Extremes:
        """Largest and smallest eigenvalue with bounds; see `Spectrum.extremes`."""
        return self._local.spectrum.extremes(tol, products=products, level=level)

    @_asked
    def top(
        self, k: int = 1, *, tol: float = TOL, which: str = "largest", products: int | None = None
    ) -> Eigenpairs:
        """Outermost eigenvalues, vectors and the layers they live in; see `Spectrum.top`."""
        return self._local.spectrum.top(k, tol=tol, which=which, products=products)

    @_asked
    def trace(self, tol: float = 0.03, *, products: int = 30) -> Trace:
        """The sum of eigenvalues with its standard error; see `Spectrum.trace`."""
        return self._local.spectrum.trace(tol, products=products)

    @_asked
    def density(self, *, starts: int = 1, steps: int | None = None) -> Density:
        """How eigenvalues are distributed; see `Spectrum.density`."""
        return self._local.spectrum.density(starts=starts, steps=steps)

    @_asked
    def step(self, *, max_norm: float | None = None) -> Step:
        """The optimizer's next step against the curvature along it; see `curvatures.step`."""
        return of_step.step(self._local, max_norm=max_norm)

    @_asked
    def stability(
        self,
        losses: Sequence[float] = (),
        *,
        tol: float = TOL,
        products: int = 100,
        level: float = LEVEL,
    ) -> Stability:
        """The step size against the largest stable one; see `curvatures.stability`."""
        limits = limits_of(self._local.optimizer, self._local.objective)
        if self._scaled is None:
            self._scaled = limits, of_stability.spectrum_for(self._local, limits)
        kept, spectrum = self._scaled
        found = spectrum.extremes(tol, products=products, level=level)
        return of_stability.stability(self._local, kept, found, losses)

    @_asked
    def critical(
        self,
        *,
        products: int = 60,
        level: float = LEVEL,
        gradient_tol: float | None = None,
        full_batch: bool = False,
    ) -> Critical:
        """Descending, saddle, minimum, degenerate or undecided; see `curvatures.critical`."""
        return of_critical.critical(
            self._local,
            products=products,
            level=level,
            gradient_tol=gradient_tol,
            full_batch=full_batch,
        )

    @_asked
    def escape(self, /, by: str = "curvature", **options: Any) -> Escape:
        """A way down, with the loss before and after.

        Args:
            by: "curvature" (along the most negative direction) or "noise".
            options: `products` along curvature; `radius`, `steps`, `lr`, `seed` by noise.
        """
        ways: dict[str, Callable[..., Escape]] = {
            "curvature": of_escape.by_curvature,
            "noise": of_escape.by_noise,
        }
        if by not in ways:
            msg = f"escape(by={by!r}): there are 'curvature' and 'noise'."
            raise CallError(msg)
        return ways[by](self._local, **options)

    @_asked
    def blocks(self, by: str = "layer", *, tol: float = 0.05, products: int = 20) -> Blocks:
        """The curvature of each layer by itself; see `curvatures.blocks`."""
        return of_blocks.blocks(self._local, by, tol=tol, products=products)

    @_asked
    def slice(
        self, *directions: Any, n: int = 21, reach: float | tuple[float, float] | None = None
    ) -> Slice:
        """The loss on a line or plane; see `curvatures.landscape.slice_of`."""
        return of_landscape.slice_of(self._local, directions or ("gradient",), n=n, reach=reach)

    @_asked
    def growing_steps(self, lrs: Sequence[float]) -> Reach:
        """Relative loss after one gradient step of growing size, batch by batch."""
        return of_landscape.reach_of(self._local, lrs)

    @_asked
    def convexity(
        self, *, pairs: int = 20, radius: float | None = None, products: int = 60
    ) -> Convexity:
        """Whether convexity can be disproved; see `curvatures.convexity`."""
        return of_convexity.convexity(self._local, pairs=pairs, radius=radius, products=products)

    @_asked
    def track(self, products: int = 3) -> Tracked:
        """The largest eigenvalue from below, cheaply, from the vector known last."""
        return of_tracking.track(self._local, products)

    @_asked
    def check(self) -> Check:
        """Whether the answers can be believed; see `curvatures.check`."""
        return of_check.check(self._local)

    def to_scipy(self) -> Any:
        """The Hessian as a `scipy.sparse.linalg.LinearOperator`.

        Raises:
            CallError: scipy is not installed.
        """
        try:
            from scipy.sparse.linalg import LinearOperator  # type: ignore[import-untyped]  # noqa: PLC0415
        except ImportError:
            raise CallError("to_scipy() needs scipy: pip install scipy.") from None
        layout = self._local.objective.layout

        def product(vector: Any) -> Any:
            return self.hvp(torch.as_tensor(vector.reshape(-1).copy())).cpu().numpy()

        kind = str(layout.dtype).removeprefix("torch.")
        return LinearOperator(
            (layout.size, layout.size), matvec=product, rmatvec=product, dtype=kind
        )


def _piece(named: Mapping[str, Any], name: str, shape: torch.Size) -> torch.Tensor:
    piece = named.get(name)
    if not isinstance(piece, torch.Tensor) or piece.shape != shape:
        found = tuple(piece.shape) if isinstance(piece, torch.Tensor) else "nothing"
        msg = f"hvp() needs a tensor of shape {tuple(shape)} for '{name}'; found {found}."
        raise CallError(msg)
    return piece


def curvature(  # noqa: PLR0913  # what may be said about a measurement
    model: nn.Module | Callable[[], torch.Tensor],
    loss_fn: Any = None,
    batch: Any = None,
    optimizer: Optimizer | None = None,
    *,
    batches: Iterable[tuple[Any, float]] | None = None,
    method: str = "auto",
    memory_bytes: float | None = None,
    seed: int = 0,
) -> Curvature:
    """Ask about the curvature of a loss at a model's weights; nothing is computed yet.

    Two forms: `curvature(model, loss_fn, batch, optimizer)`, and `curvature(closure, parameters,
    optimizer=optimizer)` with a function that takes nothing and gives the loss.

    Args:
        model: in the mode that is meant: training mode means the loss that is trained on, with one
            dropout mask and the batch's own statistics. Wrappers (compiled,
            DistributedDataParallel) are taken off; in the latter case products are averaged over
            ranks, and all ranks must ask the same.
        loss_fn: `loss_fn(model, batch)`, or `loss_fn(output, target)` as in `dx.checkup`; a mean
            over rows. For a closure: its parameters, as tensors or by name.
        batch: one batch.
        optimizer: for questions about its step; coupled weight decay is added where it is part of
            the step, never to the loss.
        batches: in place of `batch`, pairs of a batch and its weight: its rows, or the tokens that
            count.
        method: "auto", "retained", "rebuilt" or "secant"; see `torchdx.curvatures.operators`.
        memory_bytes: that a kept graph may hold; half of what is free by default.
        seed: of the random starts; bounds hold with their level over it.

    Raises:
        CallError: there is nothing to differentiate, a batch has no rows, the precision is too low.

    Example:
        >>> import torch
        >>> x = torch.tensor([[1.0, 0.0], [0.0, 3.0]])
        >>> model = torch.nn.Linear(2, 1, bias=False)
        >>> c = curvature(model, torch.nn.MSELoss(), (x, torch.zeros(2, 1)))
        >>> round(c.extremes().highest.middle, 3)
        9.0
    """

    def make(warm: torch.Tensor | None) -> Local:
        objective = _objective(model, loss_fn, batch, given)
        options = {"method": method, "memory_bytes": memory_bytes, "seed": seed}
        return Local(objective, optimizer, warm=warm, **options)  # type: ignore[arg-type]

    given = None if batches is None else _weighted(batches)
    if isinstance(loss_fn, Iterator):  # parameters: they are asked for again by renew()
        loss_fn = list(loss_fn)
    return Curvature(make)


def _objective(
    model: Any, loss_fn: Any, batch: Any, batches: list[tuple[Any, float]] | None
) -> Objective:
    if isinstance(model, nn.Module):
        if not callable(loss_fn) or (batch is None and batches is None):
            raise CallError(_INCOMPLETE)
        if isinstance(batch, DataLoader):
            raise CallError(_LOADER)
        return of_model(model, loss_fn, [(batch, 1.0)] if batches is None else batches)
    if not callable(model):
        msg = f"The first argument is a model or a closure; found {type(model).__name__}."
        raise CallError(msg)
    return of_closure(model, loss_fn)


def _weighted(batches: Iterable[Any]) -> list[tuple[Any, float]]:
    found = list(batches)
    fitting = [
        isinstance(pair, list | tuple) and len(pair) == 2 and isinstance(pair[1], int | float)  # noqa: PLR2004
        for pair in found
    ]
    if not found or not all(fitting):
        raise CallError(_WEIGHTS)
    return [(batch, float(weight)) for batch, weight in found]


_INCOMPLETE = (
    "dx.curvature(model, ...) needs a loss function and a batch: dx.curvature(model, loss_fn, "
    "batch). For a loss that you compute yourself: dx.curvature(closure, model.parameters())."
)
_LOADER = (
    "dx.curvature(model, loss_fn, batch) takes one batch, but was given a DataLoader. Give "
    "next(iter(loader)), or several with their rows: batches=[(b, len(b[1])) for b in loader]."
)
_WEIGHTS = (
    "batches= takes pairs (batch, weight): the weight is what the loss of a batch averages over, "
    "its rows or the tokens that count: [(b, len(b[1])) for b in loader]."
)
