"""What an autograd graph tells of a loss before its second derivative is taken."""

import functools
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

# Operations whose second derivative is wrong in a torch that is in use: shown by a test of
# symmetry before anything is reported. weight_norm: torch 2.13, both forms of it.
SUSPECT = frozenset({"WeightNormInterfaceBackward0"})
_LOW = frozenset({torch.float16, torch.bfloat16})


@dataclass(frozen=True)
class Graph:
    """Facts of a loss's graph.

    operations  names of its nodes, with how often each occurs
    custom      those written in Python as autograd functions
    low         precisions below float32 that occur
    saved_bytes that the graph keeps for its backward, parameters aside
    """

    operations: Counter[str]
    custom: frozenset[str]
    low: frozenset[torch.dtype]
    saved_bytes: int

    @property
    def suspects(self) -> list[str]:
        """Operations whose second derivative needs a test."""
        return sorted((SUSPECT & self.operations.keys()) | self.custom)


def read(root: torch.Tensor, parameters: Iterable[torch.Tensor]) -> Graph:
    """Walk the graph behind a scalar; costs microseconds per node, frees nothing."""
    operations: Counter[str] = Counter()
    custom, low = set(), set()
    own = {p.untyped_storage().data_ptr() for p in parameters}
    saved: dict[int, int] = {}
    for node in _nodes(root):
        name = type(node).__name__
        operations[name] += 1
        if isinstance(node, torch.autograd.function.BackwardCFunction):
            custom.add(name.removesuffix("Backward"))
        low |= {meta.dtype for meta in getattr(node, "_input_metadata", ())} & _LOW
        for tensor in _saved(node):
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in own:
                saved[storage.data_ptr()] = storage.nbytes()
    return Graph(operations, frozenset(custom), frozenset(low), sum(saved.values()))


def differentiates_once(outputs: Iterable[torch.Tensor]) -> bool:
    """Whether a gradient's graph ends in a function that is marked as differentiable only once.

    Nothing would be raised: such a function leads nowhere, and its part of the Hessian would be 0.
    """
    return any(type(node).__name__ == "Error" for node in _nodes(*outputs))


def _nodes(*roots: torch.Tensor) -> Iterator[Any]:
    seen, waiting = set(), [root.grad_fn for root in roots]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting += [following for following, _ in node.next_functions]
            yield node


def _saved(node: Any) -> Iterator[torch.Tensor]:
    for name in _names(node.__class__):
        try:
            value = getattr(node, name)
        except RuntimeError:  # freed, or not to be had any more
            continue
        for item in value if isinstance(value, list | tuple) else (value,):
            if isinstance(item, torch.Tensor) and item.layout is torch.strided:
                yield item


@functools.cache
def _names(kind: Hashable) -> tuple[str, ...]:
    names = [name for name in dir(kind) if name.startswith("_saved_")]
    return (*names, "saved_tensors") if hasattr(kind, "saved_tensors") else tuple(names)
