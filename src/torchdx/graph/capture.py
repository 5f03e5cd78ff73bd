"""Turns the autograd graph behind a loss into plain data, once per structure.

Walking costs microseconds and is done at every backward; reading the nodes costs milliseconds and
is done for structures that were not seen before. Names with an underscore are torch's own and
private: `tests/test_private_torch.py` fails when one of them goes away.
"""

import contextlib
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from torchdx.events.frames import Frames
from torchdx.graph.model import HEADS, LEAF

MAX_NODES = 50_000  # a larger graph is walked this far and marked so

NEAR = 12  # operations by which a graph is known again without a walk

_SUFFIX = re.compile(r"Backward\d*$")
_WRAP = 1 << 64  # negative numbers come back from torch as unsigned 64-bit
_SCALARS = (
    "reduction dim dims p training dropout_p groups ignore_index self_sym_sizes mat1_sym_sizes "
    "mat2_sym_sizes bias_sym_sizes_opt rounding_mode exponent min max keepdim transposed correction"
).split()
_MAX_CLASSES = 2_000  # class weights and label counts beyond this are left out

Emitted = dict[str, Any]


class Walk(NamedTuple):
    """One pass over a graph: its nodes, a number for its structure, and its leaf tensors."""

    nodes: list[Any]
    key: int
    leaves: list[Any]


def walk(root: Any) -> Walk:
    """Visit every node behind `root` once, in a fixed order."""
    index: dict[Any, int] = {}
    shape: list[Any] = []
    leaves: list[Any] = []
    waiting = [root]
    while waiting and len(index) < MAX_NODES:
        node = waiting.pop()
        seen = index.get(node)
        if seen is not None:
            shape.append(seen)
            continue
        index[node] = len(index)
        kind = type(node)
        shape.append(kind)
        if kind.__name__ == LEAF:
            leaves.append(node.variable)
        for below, _ in node.next_functions:
            if below is not None:
                waiting.append(below)
    return Walk(list(index), hash(tuple(shape)) & 0x7FFFFFFFFFFFFFFF, leaves)


def near(root: Any) -> int:
    """A number for the structure of the few operations nearest to a root."""
    kinds: list[Any] = []
    waiting = [root]
    while waiting and len(kinds) < NEAR:
        node = waiting.pop(0)
        kinds.append(type(node))
        waiting.extend(below for below, _ in node.next_functions if below is not None)
    return hash(tuple(kinds))


def leaves(tensor: torch.Tensor) -> list[Any]:
    """The leaf tensors that a tensor was made of; none when it has no history."""
    return [] if tensor.grad_fn is None else walk(tensor.grad_fn).leaves


def read_nodes(
    nodes: list[Any], frames: Frames, label: Callable[[Any], str]
) -> tuple[list[Emitted], str]:
    """The nodes of a walk as plain data, and why part of the graph is opaque, if it is."""
    index = {node: i for i, node in enumerate(nodes)}
    opaque = "the graph is too large to be read whole" if len(nodes) >= MAX_NODES else ""
    plain = []
    for node in nodes:
        raw = node.name().rpartition("::")[2]
        if raw.startswith("CheckpointFunctionBackward"):
            opaque = "reentrant activation checkpointing hides what runs inside it"
        elif raw.startswith("CompiledFunctionBackward"):
            opaque = "a compiled region hides what runs inside it"
        plain.append(_read(node, _SUFFIX.sub("", raw), index, frames, label))
    return plain, opaque


def _read(
    node: Any, op: str, index: dict[Any, int], frames: Frames, label: Callable[[Any], str]
) -> Emitted:
    entry: Emitted = {"op": op}
    metadata = node._input_metadata
    if metadata:
        entry["shape"] = _shape(metadata[0])
        entry["dtype"] = str(metadata[0].dtype).removeprefix("torch.")
    if op == LEAF:
        entry["leaf"] = label(node.variable)
        return entry
    entry["in"] = [
        [index[below], position] if below is not None and below in index else None
        for below, position in node.next_functions
    ]
    saved = _scalars(node)
    if op in HEADS:
        saved |= _head_values(node, op)
    elif op in {"Div", "Mul"} and entry.get("shape") == []:
        saved["other"] = _factor(node, op)
    if saved:
        entry["saved"] = saved
    stack = node.metadata.get("traceback_")
    if stack:
        entry["line"], via = frames.of_stack(stack)
        if via:
            entry["via"] = via
    return entry


def _shape(metadata: Any) -> list[int]:
    """The sizes of what a node takes; -1 where those of a nested tensor differ from row to row."""
    if metadata.is_cpp_nested_tensor:  # it has no sizes
        return [-1]
    return [
        int(size) if isinstance(size, int) or not size.node.is_nested_int() else -1
        for size in metadata.shape
    ]


def _scalars(node: Any) -> Emitted:
    saved: Emitted = {}
    for name in _SCALARS:
        try:
            value = getattr(node, "_saved_" + name)
        except (AttributeError, RuntimeError):
            continue
        if not isinstance(value, torch.Tensor):
            saved[name] = signed(value)
    return saved


def signed(value: Any) -> Any:
    """Torch hands negative numbers out as unsigned ones of 64 bits; as they were meant."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value - _WRAP if value >= _WRAP >> 1 else value
    if isinstance(value, tuple | list):
        return [signed(item) for item in value]
    return value if isinstance(value, float | str) else str(value)


def saved_tensor(node: Any, name: str) -> torch.Tensor | None:
    """A tensor that autograd kept; None when it is gone, was changed in place, or is absent."""
    try:
        value = getattr(node, name)
    except (AttributeError, RuntimeError):
        return None
    return value.detach() if isinstance(value, torch.Tensor) else None


def _factor(node: Any, op: str) -> float | None:
    """The number by which a scalar is multiplied or divided; None when that is learnt too."""
    differentiable = [below is not None for below, _ in node.next_functions]
    if all(differentiable[:2]) and len(differentiable) > 1:
        return None
    if not differentiable[0]:
        return None if op == "Div" else _number(node, "_saved_self")
    return _number(node, "_saved_other")


def _number(node: Any, name: str) -> float | None:
    value = getattr(node, name, None)
    if isinstance(value, int | float):  # a number of Python's is kept as such
        return float(value)
    value = saved_tensor(node, name)
    return float(value) if value is not None and value.numel() == 1 else None


def _head_values(node: Any, op: str) -> Emitted:
    values: Emitted = {}
    with contextlib.suppress(RuntimeError), torch.no_grad():
        target, given = saved_tensor(node, "_saved_target"), saved_tensor(node, "_saved_self")
        if target is not None and target.numel():
            values |= _target_values(target)
        if given is not None and given.numel() and given.is_floating_point():
            values["self_min"], values["self_max"] = float(given.min()), float(given.max())
            values["self_shape"] = list(given.shape)
            if op.startswith("NllLoss"):
                values |= _log_probability_values(given)
        for name in ("weight", "pos_weight"):
            weight = saved_tensor(node, f"_saved_{name}")
            if weight is not None and weight.numel() <= _MAX_CLASSES:
                values[name] = weight.float().flatten().tolist()
        if _weighted(op, values):
            values["counts"] = label_counts(node, values)
    return values


def _target_values(target: torch.Tensor) -> Emitted:
    sizes = enumerate(zip(target.stride(), target.shape, strict=True))
    repeats = [dim for dim, (stride, size) in sizes if stride == 0 and size > 1]
    return {
        "target_min": float(target.min()),
        "target_max": float(target.max()),
        "target_mean": float(target.double().mean()),
        "target_shape": list(target.shape),
        "target_repeats": repeats,
    }


def _log_probability_values(given: torch.Tensor) -> Emitted:
    """How far the exponentials of a loss's input are from summing to one over the classes."""
    dim = 1 if given.dim() > 1 else 0
    total = torch.logsumexp(given.float(), dim).abs().max()
    return {"self_logsumexp": float(total), "classes": given.shape[dim]}


def _weighted(op: str, values: Emitted) -> bool:
    """Whether a loss weights its classes, or the positive rows of each of its units."""
    if op.startswith("NllLoss"):
        return "weight" in values
    return op == "BinaryCrossEntropyWithLogits" and "pos_weight" in values


def label_counts(node: Any, values: Emitted) -> list[float]:
    """How often the targets of a weighted loss ask for each class.

    For units with a `pos_weight`, first the rows that ask for no, then for yes, unit by unit.
    """
    target = saved_tensor(node, "_saved_target")
    if target is None:
        return []
    if "pos_weight" in values:
        return _yes_and_no(target, len(values["pos_weight"]))
    classes = len(values["weight"])
    flat = target.flatten()
    ignored = signed(getattr(node, "_saved_ignore_index", -100))
    kept = flat[(flat != ignored) & (flat >= 0) & (flat < classes)]
    return [int(n) for n in torch.bincount(kept, minlength=classes).tolist()]


def _yes_and_no(target: torch.Tensor, units: int) -> list[float]:
    if units != 1 and (target.dim() == 0 or target.shape[-1] != units):
        return []
    rows = target.detach().double().reshape(-1, units)
    yes = rows.sum(0)
    return [*(len(rows) - yes).tolist(), *yes.tolist()]


def find_head(root: Any, reach: int = 12) -> Any | None:
    """The loss operation within a few nodes of the root, None when there is none so near."""
    waiting, seen = [root], 0
    while waiting and seen < reach:
        node = waiting.pop(0)
        seen += 1
        if _SUFFIX.sub("", node.name().rpartition("::")[2]) in HEADS:
            return node
        waiting.extend(below for below, _ in node.next_functions if below is not None)
    return None
