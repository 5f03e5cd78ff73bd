"""Which operation was the first whose result, or whose derivative, is not finite.

The forward is told from the graph before backward runs: what autograd kept is the inputs and
results of that very step, so that nothing has to be run again. Backward lets go of it; for the
derivatives, what operations with singular points had kept is held by reference until then.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from torchdx.graph.model import LEAF
from torchdx.graph.undefined import BACKWARD, FORWARD, MASKED, Reason, reason
from torchdx.graph.values import input_of, kept, maker, op_of, order

# Operations that answer a number to every number: NaN in their result came in.
_PASSING = frozenset(
    "Relu Sigmoid Tanh Gelu Silu Elu LeakyRelu Softplus Softmax LogSoftmax".split()
)
_SOFTMAX = frozenset({"Softmax", "LogSoftmax"})
_MASKING = frozenset("MaskedFill Where Add Sub IndexPut Scatter MaskedScatter CopySlices".split())
_TERMS = 10_000  # inputs below the root of the largest number, over this, overflow in no product


@dataclass(frozen=True)
class Found:
    """The first operation that is not finite.

    index    of its node in the walk; `op` its name
    reason   the point at which it is not defined, None where that is not known
    inputs   whether what went into it was finite; None: not known
    low, high   what went into it, its finite values; None where that was not kept
    data     an input of it that needs no gradient and is not finite
    constant whether it must be such an input, though autograd did not keep it
    """

    index: int
    op: str
    reason: Reason | None = None
    inputs: bool | None = None
    low: float | None = None
    high: float | None = None
    data: torch.Tensor | None = None
    constant: bool = False


@dataclass(frozen=True)
class Suspect:
    """What autograd kept of an operation that has singular points."""

    index: int
    op: str
    order: int
    values: Mapping[str, Any]


def suspects(nodes: list[Any], *, forward: bool = False) -> list[int]:
    """Which nodes of a walk have singular points: of their derivative, or of themselves too."""
    ops = {*BACKWARD, *FORWARD} if forward else set(BACKWARD)
    return [index for index, node in enumerate(nodes) if op_of(node) in ops]


def hold(nodes: list[Any], indices: Iterable[int], most: int) -> list[Suspect]:
    """What autograd kept of some nodes, up to `most` elements in all."""
    held = []
    for index in indices:
        node = nodes[index]
        values = kept(node)
        most -= sum(v.numel() for v in values.values() if isinstance(v, torch.Tensor))
        if most < 0:
            break
        held.append(Suspect(index, op_of(node), order(node), values))
    return held


def in_backward(held: Iterable[Suspect]) -> Found | None:
    """The operation nearest to the loss whose derivative is not finite."""
    for suspect in sorted(held, key=lambda s: -s.order):
        why = reason(BACKWARD.get(suspect.op, ()), suspect.values)
        if why is not None:
            inputs = _finite_inputs(suspect.values) is not False
            return Found(suspect.index, suspect.op, why, inputs, why.low, why.high)
    return None


def among(held: Iterable[Suspect]) -> Found | None:
    """The first operation of the forward, of those held, that is not defined."""
    for suspect in sorted(held, key=lambda s: s.order):
        why = reason(FORWARD.get(suspect.op, ()), suspect.values)
        if why is not None:
            inputs = _finite_inputs(suspect.values)
            return Found(suspect.index, suspect.op, why, inputs, why.low, why.high)
    return None


def in_forward(nodes: list[Any]) -> Found | None:
    """The first operation of the forward whose result is not finite; None where all kept is.

    `nodes` are a walk's, before backward.
    """
    numbers = {node: index for index, node in enumerate(nodes)}
    operations = (node for node in nodes if type(node).__name__ != LEAF)
    for node in sorted(operations, key=order):
        op, values = op_of(node), kept(node)
        found = (
            _from_data(node, op, values)
            or _undefined(node, op, values)
            or _seen(node, op, values, numbers)
        )
        if found is not None:
            return replace(found, index=numbers[node]) if found.index < 0 else found
    return None


def _from_data(node: Any, op: str, values: Mapping[str, Any]) -> Found | None:
    """An input that needs no gradient: a batch, labels, a constant."""
    for name, value in values.items():
        known, below = input_of(node, op, name)
        if known and below is None and not_finite(value):
            return Found(-1, op, inputs=False, data=value)
    return None


def _undefined(node: Any, op: str, values: Mapping[str, Any]) -> Found | None:
    why = reason(FORWARD.get(op, ()), values)
    below = [n for n, _ in node.next_functions if n is not None]
    if op in _SOFTMAX and below:
        why = _masked(why, maker(below[0]), values)
    if why is None:
        return None
    inputs = _finite_inputs(values)
    if inputs is None:
        inputs = all(map(_finite_source, below)) or None
    return Found(-1, op, why, inputs, why.low, why.high)


def _masked(why: Reason | None, source: Any, values: Mapping[str, Any]) -> Reason | None:
    """A softmax of nothing is meant only where something masks: infinite scores do the same."""
    if op_of(source) not in _MASKING:
        return None
    mask = kept(source).get("mask")
    if why is None and mask is not None and not_finite(values.get("result")):
        rows = mask.all(-1)
        whole = int(rows.sum())
        return (
            Reason(MASKED.words, whole, rows.numel(), None, None, overflow=False) if whole else None
        )
    return why


def _finite_inputs(values: Mapping[str, Any]) -> bool | None:
    """Whether kept inputs are finite, masks of -inf aside; None where none was kept."""
    given = [v for name, v in values.items() if not name.startswith("result") and _floats(v)]
    return all(map(_mask, given)) if given else None


def _finite_source(node: Any) -> bool:
    """Whether what a node hands on is known to be finite, from what is kept of its maker."""
    source = maker(node)
    if type(source).__name__ == LEAF:
        return True  # weights: looked at before
    values = kept(source)
    results = [v for name, v in values.items() if name.startswith("result") and _floats(v)]
    if results:
        return not any(map(not_finite, results))
    given = [v for v in values.values() if _floats(v)]
    if _finite_inputs(values) is not True or _unkept(source, values):
        return False
    return all(float(v.abs().max()) < torch.finfo(v.dtype).max ** 0.5 / _TERMS for v in given)


def _unkept(node: Any, values: Mapping[str, Any]) -> bool:
    """Whether an input that needs no gradient was not kept either: nothing is known of it."""
    op = op_of(node)
    inputs = [below for below, _ in node.next_functions]
    return inputs.count(None) > sum(input_of(node, op, n) == (True, None) for n in values)


def _seen(
    node: Any, op: str, values: Mapping[str, Any], numbers: Mapping[Any, int]
) -> Found | None:
    """A value that is not finite, and the operation that must have made it."""
    for name, value in values.items():
        if not not_finite(value) or _mask(value):
            continue
        known, below = input_of(node, op, name)
        if not known and op in _PASSING:
            below = node.next_functions[0][0]
        source = node if below is None else maker(below)
        if source not in numbers or type(source).__name__ == LEAF:
            source = node
        return _by(source, numbers)
    return None


def _by(node: Any, numbers: Mapping[Any, int]) -> Found:
    values = kept(node)
    inputs = {n: v for n, v in values.items() if not n.startswith("result") and _floats(v)}
    sizes = [(float(f.min()), float(f.max())) for v in inputs.values() if (f := _finite(v)).numel()]
    low, high = (min(s[0] for s in sizes), max(s[1] for s in sizes)) if sizes else (None, None)
    known, made = _finite_inputs(values), [n for n, _ in node.next_functions if n is not None]
    hidden = _unkept(node, values)
    constant = hidden and bool(made) and all(map(_finite_source, made))
    known = False if constant else None if hidden else known
    return Found(numbers[node], op_of(node), None, known, low, high, constant=constant)


def not_finite(value: Any) -> bool:
    """Whether a tensor holds NaN or infinities, other than a mask's -inf among zeros."""
    if not _floats(value) or math.isfinite(value.detach().sum().item()):
        return False
    return not bool(torch.isfinite(value).all()) and not bool(
        ((value == 0) | (value == -math.inf)).all()
    )


def _mask(value: torch.Tensor) -> bool:
    """Whether nothing but -inf is not finite: scores that were masked, or none at all."""
    return not bool((torch.isnan(value) | (value == math.inf)).any())


def _finite(value: torch.Tensor) -> torch.Tensor:
    return value[torch.isfinite(value)]


def _floats(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.is_floating_point() and value.numel() > 0
