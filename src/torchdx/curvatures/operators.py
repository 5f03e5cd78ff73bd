"""Hessian-vector products: which way they are computed, and why.

retained  double backward on one graph of the gradient that is kept: the cheapest
rebuilt   the graph is made anew for each product: where keeping it would take too much memory
secant    (g(w + hv) - g(w - hv)) / 2h: where no graph of the gradient fits or exists; no Hessian
          for a net with kinks, so nothing is certified

Source: Pearlmutter 1994 (Neural Computation 6) for the product without the matrix.
"""

import contextlib
import itertools
import math
import os
import re
from collections.abc import Iterator, Sequence
from typing import NoReturn

import torch

from torchdx.curvatures import graphs
from torchdx.curvatures.graphs import Graph
from torchdx.curvatures.lanczos import skew_limit
from torchdx.curvatures.objective import Objective, sum_of
from torchdx.curvatures.vectors import dot, gaussian, length
from torchdx.errors import CallError

METHODS = ("auto", "retained", "rebuilt", "secant")
MEMORY_SHARE = 0.5  # of what is free, for a graph that is kept
_HELD, _PEAK = 3.5, 7.0  # times what a forward saves: measured on a ResNet-20 and a GPT
_SYMMETRY_SEED = 20_261_121


class Hessian:
    """Products with the Hessian of an objective at its weights.

    Args:
        objective: what is differentiated.
        method: one of `METHODS`; "auto" chooses, see `because`.
        memory_bytes: for a graph that is kept; half of what is free by default.
    """

    def __init__(
        self, objective: Objective, method: str = "auto", memory_bytes: float | None = None
    ) -> None:
        if method not in METHODS:
            msg = f"method={method!r} is not known; there are {', '.join(METHODS)}."
            raise CallError(msg)
        self.objective, self.n = objective, objective.layout.size
        self.products = 0
        self.method, self.because = method, "" if method == "auto" else "as asked"
        self.graph: Graph | None = None
        self._memory = memory_bytes
        self._outputs: list[torch.Tensor] = []
        self._places: list[int] = []
        self._value: float | None = None
        self._gradient: torch.Tensor | None = None
        self._versions: list[int] = []

    @property
    def value(self) -> float:
        """The loss at the weights."""
        self.prepare()
        assert self._value is not None  # noqa: S101  # prepare has set it
        return self._value

    @property
    def gradient(self) -> torch.Tensor:
        """The gradient (n,) at the weights."""
        self.prepare()
        assert self._gradient is not None  # noqa: S101  # prepare has set it
        return self._gradient

    def prepare(self) -> None:
        """Make the gradient, with its graph where that is kept."""
        if self._gradient is not None and (self.method != "retained" or self._is_valid()):
            return
        self.release()
        losses = self._inspected()
        if self.method == "retained":
            try:
                self._retain(losses)
            except RuntimeError as error:
                if not _is_memory(error):
                    self._refuse(error)
                self.release()
                self.method, self.because = "rebuilt", "memory ran out for the kept graph"
        del losses  # the first of them has its graph
        if self._gradient is None:
            self._gradient = self.objective.gradient()
        self._test_symmetry()

    def is_exact(self) -> bool:
        """Whether products are those of the Hessian up to rounding."""
        return self.method != "secant"

    def release(self) -> None:
        """Let go of the graph; the next product makes it again."""
        self._outputs, self._places, self._gradient = [], [], None

    def product(self, vector: torch.Tensor) -> torch.Tensor:
        """The Hessian times a vector (n,).

        Raises:
            CallError: an operation has no second derivative.
        """
        self.prepare()
        self.products += 1
        try:
            found = self._raw(vector)
        except RuntimeError as error:
            if not _is_memory(error) or self.method == "secant":
                self._refuse(error)
            self.release()
            self.method, self.because = "secant", "memory ran out for a graph of the gradient"
            found = self._secant(vector)
        return self.objective.agreed(found)

    def block(self, indices: Sequence[int], vector: torch.Tensor) -> torch.Tensor:
        """The diagonal block of some parameters times a vector of their size."""
        layout = self.objective.layout
        if self.method == "retained":
            self.prepare()
            self.products += 1
            return self.objective.agreed(self._retained_block(indices, vector))
        whole = torch.zeros(self.n, dtype=layout.dtype, device=layout.device)
        slots = _slots(layout.sizes)
        place = torch.cat([torch.arange(*slots[i], device=layout.device) for i in indices])
        whole[place] = vector
        return self.product(whole).index_select(0, place)

    def asymmetry(self) -> float:
        """How far u'Hv and v'Hu are apart, relative to |Hu| + |Hv|; two products."""
        generator = torch.Generator().manual_seed(_SYMMETRY_SEED)
        layout = self.objective.layout
        u, v = (gaussian(self.n, layout.dtype, layout.device, generator) for _ in range(2))
        u, v = u / length(u), v / length(v)
        hu, hv = self.product(u), self.product(v)
        size = length(hu) + length(hv)
        return abs(dot(u, hv) - dot(v, hu)) / size if size else 0.0

    @contextlib.contextmanager
    def trusted(self) -> Iterator[None]:
        """Inside, suspect operations are not refused: for the check that tells of them."""
        was, self._tested = self._tested, True
        try:
            yield
        finally:
            self._tested = was

    def _is_valid(self) -> bool:
        return self._versions == [p._version for p in self.objective.parameters]

    def _inspected(self) -> Iterator[torch.Tensor]:
        """All losses; the graph of the first is read, a method chosen by what it keeps."""
        losses = self.objective.losses()
        if self.graph is not None:
            return losses
        parameters = self.objective.parameters
        loss = next(losses)
        self.graph = graphs.read(loss, parameters)
        if self.graph.low:
            names = ", ".join(sorted(str(d).removeprefix("torch.") for d in self.graph.low))
            msg = _LOW.format(names)
            raise CallError(msg)
        if "CheckpointFunction" in self.graph.custom:
            raise CallError(_REENTRANT)
        if self.method == "auto":
            saved = self.graph.saved_bytes * len(self.objective.parts)
            self.method, self.because = self._agreed(*self._choice(saved))
        return itertools.chain([loss], losses)

    def _agreed(self, method: str, because: str) -> tuple[str, str]:
        """All ranks go the way of the first."""
        place = self.objective.decided(torch.tensor(METHODS.index(method)))
        chosen = METHODS[int(place)]
        return chosen, because if chosen == method else "as on rank 0"

    def _choice(self, saved: float) -> tuple[str, str]:
        free = _free_bytes(self.objective.layout.device)
        cap = MEMORY_SHARE * free if self._memory is None else self._memory
        if _HELD * saved <= cap:
            return "retained", ""
        told = f"a kept graph would hold about {_HELD * saved / 1e6:.0f} MB"
        if _PEAK * saved / len(self.objective.parts) <= free:
            return "rebuilt", f"{told}, {cap / 1e6:.0f} MB are allowed"
        return "secant", f"{told}, and memory has {free / 1e6:.0f} MB"

    def _retain(self, losses: Iterator[torch.Tensor]) -> None:
        objective = self.objective
        value, gradients = 0.0, []
        for loss in losses:
            value += float(loss.detach())
            parts = self._first_derivative(loss)
            gradients.append(objective.layout.flat(parts))
            for place, part in enumerate(parts):
                if part.grad_fn is not None:
                    self._outputs.append(part)
                    self._places.append(place)
        self._versions = [p._version for p in objective.parameters]
        self._value = float(objective.agreed(torch.tensor(value, dtype=torch.float64)))
        self._gradient = objective.agreed(sum_of(iter(gradients)))

    def _first_derivative(self, loss: torch.Tensor) -> list[torch.Tensor]:
        parts = torch.autograd.grad(
            loss,
            self.objective.parameters,
            create_graph=True,
            allow_unused=True,
            materialize_grads=True,
        )
        if any(part.is_sparse for part in parts):
            raise CallError(_SPARSE)
        custom = self.graph.custom if self.graph is not None else frozenset()
        if custom and graphs.differentiates_once(parts):
            msg = _ONCE.format(", ".join(sorted(custom)), "marked with @once_differentiable")
            raise CallError(msg)
        return list(parts)

    def _raw(self, vector: torch.Tensor) -> torch.Tensor:
        if self.method == "secant":
            return self._secant(vector)
        if self.method == "retained":
            return self._through(self._outputs, self._places, vector, keep=True)
        return sum_of(self._rebuilt(vector))

    def _rebuilt(self, vector: torch.Tensor) -> Iterator[torch.Tensor]:
        for loss in self.objective.losses():
            parts = self._first_derivative(loss)
            places = [i for i, part in enumerate(parts) if part.grad_fn is not None]
            yield self._through([parts[i] for i in places], places, vector, keep=False)

    def _through(
        self, outputs: list[torch.Tensor], places: list[int], vector: torch.Tensor, *, keep: bool
    ) -> torch.Tensor:
        """Back through the graph of the gradient; a loss linear in the weights has none."""
        if not outputs:
            return torch.zeros_like(vector)
        layout = self.objective.layout
        pieces = layout.pieces(vector)
        found = torch.autograd.grad(
            outputs,
            self.objective.parameters,
            grad_outputs=[pieces[i] for i in places],
            retain_graph=keep,
            allow_unused=True,
            materialize_grads=True,
        )
        return layout.flat(found)

    def _retained_block(self, indices: Sequence[int], vector: torch.Tensor) -> torch.Tensor:
        layout, own = self.objective.layout, list(indices)
        chosen = [(o, p) for o, p in zip(self._outputs, self._places, strict=True) if p in own]
        parts = torch.split_with_sizes(vector, [layout.sizes[i] for i in own])
        pieces = {i: part.view(layout.shapes[i]) for i, part in zip(own, parts, strict=True)}
        if not chosen:
            return torch.zeros_like(vector)
        found = torch.autograd.grad(
            [o for o, _ in chosen],
            [self.objective.parameters[i] for i in own],
            grad_outputs=[pieces[p].to(o) for o, p in chosen],
            retain_graph=True,
            allow_unused=True,
            materialize_grads=True,
        )
        return layout.flat(found)

    def _secant(self, vector: torch.Tensor) -> torch.Tensor:
        """Central difference; the step balances rounding against the third derivative."""
        size = length(vector)
        if not size:
            return torch.zeros_like(vector)
        at = self.objective.weights
        eps = torch.finfo(self.objective.layout.dtype).eps
        h = 2 * eps ** (1 / 3) * (1 + length(at) / math.sqrt(self.n)) / size
        ahead, behind = self._local(at + h * vector), self._local(at - h * vector)
        found: torch.Tensor = (ahead - behind) / (2 * h)
        return found

    def _local(self, at: torch.Tensor) -> torch.Tensor:
        with self.objective.moved(at):
            return sum_of(self.objective._gradients())

    def _test_symmetry(self) -> None:
        """Before anything is reported, where an operation is known to lie or is hand-written."""
        suspects = [] if self.graph is None or self.method == "secant" else self.graph.suspects
        if self._value is None:
            self._value = self.objective.value()
        if not suspects or self._tested:
            return
        self._tested = True
        found = self.asymmetry()
        if found > skew_limit(self.objective.layout.dtype) / 10:
            msg = _WRONG.format(", ".join(suspects), found)
            raise CallError(msg)

    _tested = False

    def _refuse(self, error: RuntimeError) -> NoReturn:
        text = str(error).split("\n")[0]
        custom = sorted(self.graph.custom) if self.graph is not None else []
        named = re.search(
            r"aten::_?(\w+)|derivative for '?(?:aten::)?(\w+)|Function (\w+)|'(\w+)'", text
        )
        name = next((g for g in named.groups() if g), "") if named else ""
        name = name.strip("_").removesuffix("_backward")
        told = name or ", ".join(custom) or _guess(self.graph) or "an operation"
        msg = _ONCE.format(told, text)
        raise CallError(msg) from None


def _guess(graph: Graph | None) -> str:
    known = [n for n in (graph.operations if graph else ()) if _ONLY_ONCE.search(n)]
    return ", ".join(name.removesuffix("0").removesuffix("Backward") for name in known)


_ONLY_ONCE = re.compile("EmbeddingBag|Ctc|Checkpoint|Compiled|Cudnn|Attention", re.IGNORECASE)


def _slots(sizes: Sequence[int]) -> list[tuple[int, int]]:
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    return [(end - size, end) for end, size in zip(ends, sizes, strict=True)]


def _is_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "not enough memory" in str(error)


def _free_bytes(device: torch.device) -> float:
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    if hasattr(os, "sysconf") and "SC_AVPHYS_PAGES" in os.sysconf_names:
        return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return math.inf


_LOW = (
    "Part of the loss is computed in {} although the weights are not: an autocast inside the loss "
    "function. Second derivatives there are wrong in their third digit. Call it without autocast "
    "(torchdx switches off one that is around it, but cannot reach one that is within)."
)
_SPARSE = (
    "The gradient of an embedding is sparse (Embedding(sparse=True)), and Embedding is then not "
    "twice differentiable. Make it with sparse=False for this measurement: the loss is the same."
)
_REENTRANT = (
    "The loss goes through a reentrant checkpoint, which hides the parameters within it: it is not "
    "twice differentiable. Call torch.utils.checkpoint.checkpoint(..., use_reentrant=False)."
)
_ONCE = (
    "The Hessian was asked for, but {} is not twice differentiable (torch says: {}). Replace it by "
    "an equal made of elementary operations, or ask with method='secant': differences of "
    "gradients, which hold for smooth losses only and certify nothing."
)
_WRONG = (
    "The second derivative is wrong: the Hessian is not symmetric, and {} is known or free to be "
    "(|u'Hv - v'Hu| is {:.1e} of |Hu| + |Hv|). In torch 2.13 the double backward of weight_norm is "
    "at fault; remove_parametrizations (or remove_weight_norm) gives the same loss in plain "
    "weights, and method='secant' uses gradients alone."
)
