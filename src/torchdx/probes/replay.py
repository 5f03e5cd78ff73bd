"""Repeats the operations between a model's answer and its loss on another answer.

Autograd keeps what an operation needs for its derivative: the targets of a loss, the other factor
of a product. Where it keeps too little (the constant of a sum), the missing number is taken from
what the next operation keeps; else the loss is not replayed.
"""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch.nn import functional

from torchdx.graph.capture import saved_tensor, signed

MAX_NODES = 300  # between answer and loss; a model's own graph is not repeated

Places = Mapping[Any, torch.Tensor]
Step = Callable[[Places], torch.Tensor]

_SUFFIX = re.compile(r"Backward\d*$")
_REDUCTIONS = ("none", "mean", "sum")


class Unreplayable(Exception):  # noqa: N818  # says what, not that it is an error
    """An operation between answer and loss that cannot be repeated."""


class Tape:
    """The way from some places of an answer to its loss."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._ends = {(t.grad_fn, t.output_nr): p for p, t in places.items() if t.grad_fn}
        self._steps: dict[tuple[Any, int], Step] = {}
        self._reached = False

    def replay(self, root: torch.Tensor) -> Step:
        """A function from the tensors of an answer to the value of `root`."""
        step = self._step(root.grad_fn, root.output_nr, None)
        if not self._reached:
            raise Unreplayable("the loss does not depend on this answer")
        return step

    def _step(self, node: Any, position: int, value: torch.Tensor | None) -> Step:
        """Repeat one node; `value` is what it answered, where the next operation keeps that."""
        if (node, position) in self._ends:
            self._reached = True
            return partial(_look_up, self._ends[node, position])
        if (node, position) not in self._steps:
            if len(self._steps) >= MAX_NODES:
                raise Unreplayable("too many operations")
            self._steps[node, position] = self._make(node, value)
        return self._steps[node, position]

    def _make(self, node: Any, value: torch.Tensor | None) -> Step:
        op = _SUFFIX.sub("", node.name().rpartition("::")[2])
        if op not in _OPERATIONS:
            raise Unreplayable(op)
        given = [
            None if below is None else self._step(below, nr, saved_tensor(node, f"_saved_{name}"))
            for (below, nr), name in zip(node.next_functions, ("self", "other"), strict=False)
        ]
        if op in _SUMS and None in given:
            return self._sum_with_constant(node, op, given, value)
        return partial(_run, _OPERATIONS[op](node), given)

    def _sum_with_constant(
        self, node: Any, op: str, given: list[Step | None], value: torch.Tensor | None
    ) -> Step:
        """`x + c` or `x - c`, either way round, where c is in what the next operation keeps."""
        known = next((step for step in given if step is not None), None)
        if value is None or known is None:
            raise Unreplayable(op)
        if op == "Sub" and given[0] is not None:
            with torch.no_grad():
                taken = known(self._places) - value
            return lambda places: known(places) - taken
        if op == "Sub":
            alpha = node._saved_alpha
            with torch.no_grad():
                whole = value + alpha * known(self._places)
            return lambda places: torch.sub(whole, known(places), alpha=alpha)
        with torch.no_grad():
            constant = value - known(self._places)
        return lambda places: known(places) + constant


def factor_of(root: torch.Tensor) -> float:
    """The constant by which a program has multiplied its loss: 0.25 for `loss / 4`."""
    factor, node = 1.0, root.grad_fn
    while node is not None:
        op = _SUFFIX.sub("", node.name().rpartition("::")[2])
        below = [n for n, _ in node.next_functions]
        if op not in {"Mul", "Div"} or below[0] is None or any(n is not None for n in below[1:]):
            break
        kept = getattr(node, "_saved_other", None)
        if kept is None or (isinstance(kept, torch.Tensor) and kept.numel() != 1):
            break
        factor = factor * float(kept) if op == "Mul" else factor / float(kept)
        node = below[0]
    return factor


def _look_up(place: Any, places: Places) -> torch.Tensor:
    return places[place]


def _run(operation: Callable[..., Any], given: list[Step | None], places: Places) -> torch.Tensor:
    answer: torch.Tensor = operation(*(None if step is None else step(places) for step in given))
    return answer


def _head(function: Callable[..., Any], *settings: str) -> Callable[[Any], Callable[..., Any]]:
    """A loss that torch computes in one operation: its target and settings are kept."""

    def make(node: Any) -> Callable[..., Any]:
        options: dict[str, Any] = {"reduction": _REDUCTIONS[int(node._saved_reduction)]}
        for name in settings:
            kept = getattr(node, f"_saved_{name}")
            options[name] = kept.detach() if isinstance(kept, torch.Tensor) else signed(kept)
        fixed, target = _needed(node, "_saved_self"), _needed(node, "_saved_target")

        def run(x: torch.Tensor | None = None, y: torch.Tensor | None = None) -> Any:
            return function(fixed if x is None else x, target if y is None else y, **options)

        return run

    return make


def _needed(node: Any, name: str) -> torch.Tensor:
    kept = saved_tensor(node, name)
    if kept is None:
        raise Unreplayable(name)
    return kept


def _same_order(node: Any) -> Callable[..., Any]:
    """Another shape, the elements in the same order."""
    shape = tuple(int(size) for size in node._input_metadata[0].shape)
    return lambda x: x.reshape(shape)


def _expand(node: Any) -> Callable[..., Any]:
    shape = tuple(int(size) for size in node._input_metadata[0].shape)
    return lambda x: x.expand(shape)


def _to_copy(node: Any) -> Callable[..., Any]:
    meta = node._input_metadata[0]
    return lambda x: x.to(device=meta.device, dtype=meta.dtype)


def _with(name: str, *settings: str) -> Callable[[Any], Callable[..., Any]]:
    """A method of tensors, with the settings that the node keeps."""

    def make(node: Any) -> Callable[..., Any]:
        kept = [signed(getattr(node, f"_saved_{setting}")) for setting in settings]
        return lambda x, *_: getattr(x, name)(*kept)

    return make


def _reduce(name: str) -> Callable[[Any], Callable[..., Any]]:
    def make(node: Any) -> Callable[..., Any]:
        if not hasattr(node, "_saved_dim"):
            return lambda x: getattr(x, name)()
        dim, keepdim = signed(node._saved_dim), bool(node._saved_keepdim)
        return lambda x: getattr(x, name)(dim, keepdim)

    return make


def _slice(node: Any) -> Callable[..., Any]:
    dim, start = signed(node._saved_dim), signed(node._saved_start)
    end, step = signed(node._saved_end), signed(node._saved_step)

    def run(x: torch.Tensor) -> torch.Tensor:
        cut = [slice(None)] * x.dim()
        cut[dim] = slice(start, end, step)
        return x[tuple(cut)]

    return run


def _product(operation: Callable[..., Any]) -> Callable[[Any], Callable[..., Any]]:
    """`x * c` or `x / c`, either way round: the constant is kept."""

    def make(node: Any) -> Callable[..., Any]:
        def constant(name: str) -> Any:
            kept = getattr(node, f"_saved_{name}")
            if kept is None:
                raise Unreplayable(node.name())
            return kept.detach() if isinstance(kept, torch.Tensor) else kept

        needs = [below is not None for below, _ in node.next_functions] + [False]
        left = None if needs[0] else constant("self")
        right = None if needs[1] else constant("other")
        return lambda x, y=None: operation(
            x if left is None else left, y if right is None else right
        )

    return make


def _sum(operation: Callable[..., Any]) -> Callable[[Any], Callable[..., Any]]:
    def make(node: Any) -> Callable[..., Any]:
        alpha = node._saved_alpha
        return lambda x, y: operation(x, y, alpha=alpha)

    return make


def _power(node: Any) -> Callable[..., Any]:
    exponent = node._saved_exponent
    if isinstance(exponent, torch.Tensor):
        exponent = exponent.detach()
    return lambda x, *_: torch.pow(x, exponent)


def _gather(node: Any) -> Callable[..., Any]:
    dim, index = signed(node._saved_dim), _needed(node, "_saved_index")
    return lambda x: torch.gather(x, dim, index)


def _index(node: Any) -> Callable[..., Any]:
    indices = tuple(slice(None) if i is None else i for i in node._saved_indices)
    return lambda x: x[indices]


def _masked_fill(node: Any) -> Callable[..., Any]:
    mask = _needed(node, "_saved_mask")
    return lambda x, *_: x.masked_fill(mask, 0)


_SUMS = frozenset({"Add", "Sub"})
_OPERATIONS: dict[str, Callable[[Any], Callable[..., Any]]] = {
    "NllLoss": _head(functional.nll_loss, "weight", "ignore_index"),
    "NllLoss2D": _head(functional.nll_loss, "weight", "ignore_index"),
    "MseLoss": _head(functional.mse_loss),
    "SmoothL1Loss": _head(functional.smooth_l1_loss, "beta"),
    "HuberLoss": _head(functional.huber_loss, "delta"),
    "BinaryCrossEntropy": _head(functional.binary_cross_entropy, "weight"),
    "BinaryCrossEntropyWithLogits": _head(
        functional.binary_cross_entropy_with_logits, "weight", "pos_weight"
    ),
    **dict.fromkeys(("View", "UnsafeView", "ReshapeAlias", "Squeeze", "Unsqueeze"), _same_order),
    **dict.fromkeys(("Clone", "Alias", "Contiguous"), _with("clone")),
    "Transpose": _with("transpose", "dim0", "dim1"),
    "T": _with("t"),
    "Permute": _with("permute", "dims"),
    "Select": _with("select", "dim", "index"),
    "Slice": _slice,
    "Expand": _expand,
    "ToCopy": _to_copy,
    "LogSoftmax": _with("log_softmax", "dim"),
    "Softmax": _with("softmax", "dim"),
    "Sigmoid": _with("sigmoid"),
    "Tanh": _with("tanh"),
    "Relu": _with("relu"),
    "Exp": _with("exp"),
    "Log": _with("log"),
    "Logit": _with("logit", "eps"),
    "Sqrt": _with("sqrt"),
    "Abs": _with("abs"),
    "Neg": _with("neg"),
    "Clamp": _with("clamp", "min", "max"),
    "ClampMin": _with("clamp_min", "min"),
    "ClampMax": _with("clamp_max", "max"),
    "Pow": _power,
    "Logsumexp": _with("logsumexp", "dim", "keepdim"),
    "Mean": _reduce("mean"),
    "Sum": _reduce("sum"),
    "Mul": _product(torch.mul),
    "Div": _product(torch.div),
    "Add": _sum(torch.add),
    "Sub": _sum(torch.sub),
    "Gather": _gather,
    "Index": _index,
    "MaskedFill": _masked_fill,
}
