"""The loss near the weights: values, gradient, products and the spectrum, each made once."""

import functools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch.optim import Optimizer

from torchdx.curvatures.objective import Objective
from torchdx.curvatures.operators import Hessian
from torchdx.curvatures.results import Loss, Spent
from torchdx.curvatures.spectrum import Spectrum
from torchdx.errors import CallError


class Local:
    """What every question about a net needs.

    Args:
        objective: the loss.
        optimizer: that trains it, where there is one.
        method, memory_bytes: of the Hessian.
        seed: of random starts.
        warm: a vector that the basis leans to.
    """

    def __init__(  # noqa: PLR0913  # what a neighbourhood is made of
        self,
        objective: Objective,
        optimizer: Optimizer | None,
        *,
        method: str = "auto",
        memory_bytes: float | None = None,
        seed: int = 0,
        warm: torch.Tensor | None = None,
    ) -> None:
        self.objective, self._optimizer = objective, optimizer
        self.seed, self.warm = seed, warm
        self.hessian = Hessian(objective, method, memory_bytes)
        self.spectrum = self.spectrum_of(self.hessian.product, warm)

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer.

        Raises:
            CallError: there is none.
        """
        if self._optimizer is None:
            raise CallError(_NO_OPTIMIZER)
        return self._optimizer

    @property
    def has_optimizer(self) -> bool:
        """Whether one was given."""
        return self._optimizer is not None

    @property
    def weights(self) -> torch.Tensor:
        """Where we are, (n,)."""
        return self.objective.weights

    @property
    def value(self) -> float:
        """The loss there."""
        return self.hessian.value

    @property
    def gradient(self) -> torch.Tensor:
        """Its gradient, (n,)."""
        return self.hessian.gradient

    @property
    def rounding(self) -> float:
        """What a difference of two losses is worth."""
        return 8 * torch.finfo(self.objective.layout.dtype).eps * max(abs(self.value), 1e-30)

    def sharpest(self) -> torch.Tensor | None:
        """The best vector known of the largest eigenvalue, here or from before; None: none."""
        basis = self.spectrum.krylov
        return basis.vector(len(basis) - 1) if len(basis) else self.warm

    def value_at(self, shift: torch.Tensor) -> float:
        """The loss at the weights plus a shift (n,)."""
        return self.objective.value(self.weights + shift)

    def product(self, vector: torch.Tensor) -> torch.Tensor:
        """The Hessian times a vector (n,)."""
        return self.hessian.product(vector)

    def spectrum_of(
        self,
        product: Callable[[torch.Tensor], torch.Tensor],
        warm: torch.Tensor | None = None,
        n: int | None = None,
    ) -> Spectrum:
        """A spectrum of an operator in these weights, or in `n` of them."""
        layout = self.objective.layout
        whole = n is None
        return Spectrum(
            product,
            layout.size if n is None else n,
            dtype=layout.dtype,
            device=layout.device,
            seed=self.seed,
            about=functools.partial(_about, self.objective, self.hessian),
            warm=warm,
            agreed=self.objective.decided if self.objective.ranks > 1 else None,
            named=layout.named if whole else None,
            shares=layout.shares if whole else None,
            exact=self.hessian.is_exact,
        )

    def about(self) -> Loss:
        """What is differentiated."""
        return _about(self.objective, self.hessian)

    @contextmanager
    def counted(self) -> Iterator[Callable[[], Spent]]:
        """Counts what is made inside."""
        products, losses = self.hessian.products, self.objective.losses_made
        began = time.process_time()
        yield lambda: Spent(
            self.hessian.products - products,
            self.objective.losses_made - losses,
            time.process_time() - began,
        )


def _about(objective: Objective, hessian: Hessian) -> Loss:
    layout = objective.layout
    return Loss(
        hessian.value,
        objective.guard.mode,
        objective.guard.draws,
        objective.rows,
        len(objective.parts),
        layout.size,
        str(layout.dtype),
        str(layout.device),
        hessian.method,
        hessian.because,
        tuple(_notes(objective)),
    )


def _notes(objective: Objective) -> Iterator[str]:
    if objective.ranks > 1:
        yield f"mean over {objective.ranks} ranks"
    if objective.guard.autocast:
        yield "autocast switched off for it"


_NO_OPTIMIZER = (
    "This question is about the optimizer's step, but no optimizer was given: "
    "dx.curvature(model, loss_fn, batch, optimizer=optimizer)."
)
