"""The peers, each asked as its documentation tells; `make peers` installs them beside the project.

One that cannot be imported is a reason in place of a peer.
"""

import contextlib
import io
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

FOLDER = Path(__file__).parents[2] / ".peers"
TOL = 1e-3
Product = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Asked:
    """A model with its loss and batches."""

    model: nn.Module
    criterion: Callable[[Any, Any], Tensor]
    batches: Sequence[tuple[Tensor, Tensor]]

    @property
    def parameters(self) -> list[nn.Parameter]:
        """In the order of flat vectors."""
        return list(self.model.parameters())

    def pieces(self, flat: Tensor) -> list[Tensor]:
        """A vector (n,) in the parameters' shapes."""
        parts = flat.split([p.numel() for p in self.parameters])
        return [part.view_as(p) for part, p in zip(parts, self.parameters, strict=True)]


@dataclass
class Answer:
    """Eigenvalues, what they cost, and CPU seconds; `all_seconds` with the tries that failed."""

    values: list[float]
    products: int = 0
    seconds: float = 0.0
    all_seconds: float = field(default=0.0)


class Counted:
    """A function that counts its calls."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.calls = function, 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        return self.function(*args, **kwargs)


class PyHessian:
    """Power iteration with deflation, on one kept graph."""

    name, package = "PyHessian", "pyhessian"

    def __init__(self) -> None:
        import pyhessian.hessian  # noqa: F401

        self._home = sys.modules["pyhessian.hessian"]
        self._product = self._home.hessian_vector_product

    def _made(self, asked: Asked) -> Any:
        batches = list(asked.batches)
        many = {"dataloader": batches} if len(batches) > 1 else {"data": batches[0]}
        return self._home.hessian(asked.model, asked.criterion, cuda=False, **many)

    def product(self, asked: Asked) -> Product:
        """Of a vector (n,); the flat form is the caller's, its own is a list."""
        made = self._made(asked)
        return lambda v: torch.cat(
            [t.reshape(-1) for t in self._product(made.gradsH, made.params, asked.pieces(v))]
        )

    def largest(self, asked: Asked, k: int = 1, seed: int = 0) -> Answer:
        """By magnitude."""
        torch.manual_seed(seed)
        counted = Counted(self._product)
        self._home.hessian_vector_product = counted
        began = time.process_time()
        try:
            values, _ = self._made(asked).eigenvalues(maxIter=200, tol=TOL, top_n=k)
        finally:
            self._home.hessian_vector_product = self._product
        spent = time.process_time() - began
        return Answer(list(map(float, values)), counted.calls, spent, spent)


class Eigenthings:
    """Lanczos of a fixed length: a longer one from the start until it says that it converged."""

    name, package = "eigenthings", "hessian_eigenthings"
    _lengths = (10, 15, 20, 30, 40, 60, 80, 120)

    def __init__(self) -> None:
        import hessian_eigenthings

        self._home = hessian_eigenthings

    def _made(self, asked: Asked) -> Any:
        loss = self._home.supervised_loss(asked.criterion)
        return self._home.HessianOperator(asked.model, list(asked.batches), loss)

    def product(self, asked: Asked) -> Product:
        """Of a vector (n,)."""
        return self._made(asked).matvec

    def largest(self, asked: Asked, k: int = 1, seed: int = 0) -> Answer:
        """By magnitude; products and seconds are those of the last try alone."""
        n = sum(p.numel() for p in asked.parameters)
        started, answer = time.process_time(), Answer([])
        for length in sorted({min(length, n) for length in self._lengths}):
            began = time.process_time()
            found = self._home.lanczos(
                self._made(asked), k=k, max_iter=length, tol=TOL, seed=seed, reorthogonalize=True
            )
            spent = time.process_time() - began
            answer = Answer(found.eigenvalues.tolist(), found.iterations, spent)
            if bool(found.converged.all()):
                break
        answer.all_seconds = time.process_time() - started
        return answer


class Curvlinops:
    """A linear operator by forward over reverse, with scipy's ARPACK."""

    name, package = "curvlinops", "curvlinops"

    def __init__(self) -> None:
        import curvlinops
        from scipy.sparse.linalg import LinearOperator, eigsh

        self._home, self._wrapped, self._eigsh = curvlinops, LinearOperator, eigsh

    def _made(self, asked: Asked) -> Any:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints before it refuses
            return self._home.HessianLinearOperator(
                asked.model, asked.criterion, asked.parameters, list(asked.batches)
            )

    def product(self, asked: Asked) -> Product:
        """Of a vector (n,)."""
        made = self._made(asked)
        return lambda v: made @ v

    def largest(self, asked: Asked, k: int = 1, seed: int = 0) -> Answer:
        """At the upper end."""
        began = time.process_time()
        operator = self._made(asked).to_scipy(dtype=np.float32)
        counted = Counted(operator.matvec)
        wrapped = self._wrapped(operator.shape, matvec=counted, dtype=np.float32)
        start = np.random.default_rng(seed).standard_normal(operator.shape[0]).astype(np.float32)
        values = self._eigsh(wrapped, k=k, which="LA", tol=TOL, v0=start, return_eigenvectors=False)
        spent = time.process_time() - began
        return Answer(sorted(map(float, values), reverse=True), counted.calls, spent, spent)


Peer = PyHessian | Eigenthings | Curvlinops
KINDS: tuple[type[Peer], ...] = (PyHessian, Eigenthings, Curvlinops)


def available() -> tuple[dict[str, Peer], dict[str, str]]:
    """Peers by name, and for those that are not installed what their column says."""
    if FOLDER.is_dir() and str(FOLDER) not in sys.path:
        sys.path.append(str(FOLDER))
    found: dict[str, Peer] = {}
    missing: dict[str, str] = {}
    for kind in KINDS:
        try:
            found[kind.name] = kind()
        except ImportError:
            missing[kind.name] = "not installed"
    return found, missing
