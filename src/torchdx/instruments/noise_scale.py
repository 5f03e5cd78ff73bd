"""How much the gradients of single rows differ: the noise scale, from the linear layers.

McCandlish et al. 2018 (arXiv 1812.06162) call B = tr(Sigma) / |G|^2 the simple noise scale: with
Sigma the covariance of the gradients of single rows, and G their mean. A batch much smaller than B
gives steps that are mostly noise; a batch much larger spends its rows on averaging what is alike
already. Their own estimator needs gradients at two batch sizes. A linear layer has the gradients of
all its rows at once: row i's is the outer product of what comes back to its output, d_i, and what
went in, a_i, so that any two have the product (a_i . a_j) (d_i . d_j) (Goodfellow 2015, arXiv
1510.01799), without a second backward pass, and at the same weights. Over n rows, with m the mean
of these products for i unequal to j, and q that for i = j:

noise.square    m, an unbiased estimate of |G|^2, in units of the squared gradient of one row
noise.spread    q - m, an unbiased estimate of tr(Sigma), in the same unit
noise.rows      rows of the batch

Place: the layer. Layers count that are given one row an example, (rows, features), are called once
before the backward pass, and have no batch norm in training mode behind them, which makes rows
depend on each other. Batches of fewer than `FEW` rows are put together over steps in a row.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module as torch_module
from torch.nn.modules.batchnorm import _BatchNorm

from torchdx.events.recorder import Recorder, Sparse
from torchdx.graph.names import Names
from torchdx.instruments.tensors import hook_gradient, plain, unseen

DENSE = 20  # steps measured from the first
RATIO = 1.2  # then about seven times each time their number doubles
ROWS = 256  # of a batch, evenly taken, at most
FEW = 8  # rows below which batches are put together
TOGETHER = 32  # rows that these then have
MOST = 64  # steps in which they must have come together
PAUSE = 20  # steps for each step that this took beyond the first, until the next are taken
LAYERS = 8  # measured in one step
ELEMENTS = 1 << 15  # in and out of these rows: of a wider layer, fewer rows

Shielded = Callable[[Callable[..., None]], Callable[..., None]]


class _Call:
    """A layer's call in the step under way: what went in, evenly taken rows."""

    def __init__(self, given: torch.Tensor, rows: int, taken: slice) -> None:
        self.given, self.rows, self.taken = given, rows, taken
        self.back: torch.Tensor | None = None
        self.again = False

    def came_back(self, gradient: torch.Tensor) -> None:
        """The gradient by its output, (rows, outputs); scaled as if the loss summed its rows."""
        if self.back is not None:
            self.again = True
            return
        with unseen():
            self.back = gradient[self.taken].float() * self.rows


class NoiseScale:
    """Listens to linear layers at some steps, through one global hook that comes and goes.

    Args:
        recorder: where the signals go.
        names: gives layers their places.
        shielded: makes a function safe to call from the program.
    """

    def __init__(self, recorder: Recorder, names: Names, shielded: Shielded) -> None:
        self._recorder, self._names = recorder, names
        self._seen = shielded(self._called)
        self._shielded = shielded
        self._sparse = Sparse(DENSE, RATIO)
        self._hook: Any = None
        self._calls: dict[str, _Call] = {}
        self._pieces: dict[str, list[tuple[torch.Tensor, torch.Tensor]]] = {}
        self._tried = self._not_before = 0
        self._off = False
        self._kept: list[tuple[int, dict[str, tuple[torch.Tensor, int]]]] = []

    def start(self) -> None:
        """The first step is measured."""
        self._sparse.due(1)
        self._listen()

    def stop(self) -> None:
        """Listen no more; harmless when nothing listens."""
        hook, self._hook = self._hook, None
        if hook is not None:
            hook.remove()

    def compiling(self) -> None:
        """The program compiles something: a hook that comes and goes would recompile it."""
        self._off = True
        self.stop()

    def stepped(self, step: int) -> None:
        """The optimizer that steps most has done its step number `step`."""
        self._calls.clear()
        if self._hook is not None:
            self._tried += 1
            if not self._pieces or self._tried > MOST:  # nothing came that could be measured
                self._over()
        if self._hook is None and not self._off and self._wanted(step + 1):
            self._listen()

    def backward_ended(self) -> None:
        """Every layer's rows are complete."""
        if self._hook is None or not self._calls:
            return
        calls, self._calls = self._calls, {}
        whole = {p: c for p, c in calls.items() if c.back is not None and not c.again}
        with unseen():
            found = {path: self._estimate(path, call) for path, call in whole.items()}
        done = {p: (value, whole[p].rows) for p, value in found.items() if value is not None}
        if done:
            self._kept.append((self._recorder.steps + 1, done))
            self._pieces.clear()
        if not self._pieces:
            self._over()

    def flush(self) -> None:
        """Read what is kept, and write it down."""
        kept, self._kept = self._kept, []
        for step, found in kept:
            values = torch.stack([v.to("cpu") for v, _ in found.values()]).tolist()
            squares = {path: row[0] for path, row in zip(found, values, strict=True)}
            spreads = {path: row[1] for path, row in zip(found, values, strict=True)}
            rows = {path: float(count) for path, (_, count) in found.items()}
            signals = {"noise.square": squares, "noise.spread": spreads, "noise.rows": rows}
            self._recorder.signals(step, signals)

    def _wanted(self, step: int) -> bool:
        return step > self._not_before and self._sparse.due(step)

    def _over(self) -> None:
        """What was wanted is there, or will not come."""
        self._not_before = self._recorder.steps + PAUSE * self._tried
        self._pieces.clear()
        self.stop()

    def _listen(self) -> None:
        self._tried = 0
        self._hook = torch_module.register_module_forward_hook(self._hooked)

    def _hooked(self, module: nn.Module, args: Any, output: Any) -> None:
        if torch.compiler.is_compiling():
            return
        if isinstance(module, nn.Linear | _BatchNorm):
            self._seen(module, args, output)

    def _called(self, module: nn.Module, args: Any, output: Any) -> None:
        if isinstance(module, _BatchNorm):
            if module.training:
                self._calls.clear()
            return
        given, out = _rows_of(args[0] if args else None), _rows_of(output)
        if given is None or out is None or not out.requires_grad:
            return
        path = self._names.path(module)
        if path in self._calls:
            self._calls[path].again = True
        elif len(self._calls) < LAYERS and _learns(module):
            call = self._calls[path] = self._taken(module, given, out.shape[1])
            hook_gradient(out, self._shielded(call.came_back))

    def _taken(self, module: Any, given: torch.Tensor, units: int) -> _Call:
        most = max(FEW, min(ROWS, ELEMENTS // (given.shape[1] + units)))
        stride = max(1, len(given) // most)
        taken = slice(0, most * stride, stride)
        with unseen():
            few = given[taken].float().clone()
            if module.bias is not None:
                few = torch.cat([few, few.new_ones(len(few), 1)], 1)
        return _Call(few, len(given), taken)

    def _estimate(self, path: str, call: _Call) -> torch.Tensor | None:
        given, back = call.given, call.back
        if back is None:
            return None
        if len(given) < FEW:
            pieces = self._pieces.setdefault(path, [])
            pieces.append((given, back))
            if sum(len(g) for g, _ in pieces) < TOGETHER:
                return None
            if len({(g.shape[1], b.shape[1]) for g, b in pieces}) > 1:  # another of this name
                return None
            given = torch.cat([g for g, _ in pieces])
            back = torch.cat([b for _, b in pieces])
        products = (given @ given.T).double() * (back @ back.T).double()
        rows = len(products)
        own = products.diagonal().sum()
        square = (products.sum() - own) / (rows * (rows - 1))
        return torch.stack([square, own / rows - square])


def _learns(module: nn.Module) -> bool:
    """Whether its weight is a parameter: not frozen, nor computed whenever it is asked for."""
    weight = module._parameters.get("weight")
    return weight is not None and weight.requires_grad


def _rows_of(value: Any) -> torch.Tensor | None:
    """A value that is rows of features, as plain floats; None when it is anything else."""
    rows = plain(value) and value.is_floating_point() and value.dim() == 2  # noqa: PLR2004
    return value if rows and value.numel() > 0 else None
