"""What a loss that a program wrote by hand was computed from, where its model's answer is known.

`torchdx.graph.heads` reads what autograd keeps of torch's own losses. Here the answer itself is at
hand, which autograd need not have kept: for squared and absolute differences to it, and for
log-probabilities picked by label.
"""

from collections.abc import Iterator
from typing import Any

import torch

from torchdx.graph import heads
from torchdx.graph.capture import saved_tensor
from torchdx.graph.heads import Head

REACH = 24  # nodes from the root among which it is looked for
_LAYOUT = ("View", "UnsafeView", "ReshapeAlias", "Squeeze", "Unsqueeze", "Expand", "Alias", "T")
_NORMALISED = ("LogSoftmax", "Logsumexp")


def read(root: torch.Tensor, answer: Any) -> Head | None:
    """As `heads.read`, and where that finds nothing by the answer: a tensor, rows first."""
    head = heads.read(root)
    if head is not None or not isinstance(answer, torch.Tensor) or answer.dim() == 0:
        return head
    with torch.no_grad():
        try:
            return next(_heads(root.grad_fn, answer), None)
        except (RuntimeError, TypeError, IndexError, NotImplementedError):
            return None


def _heads(function: Any, answer: torch.Tensor) -> Iterator[Head]:
    for node in _nearest(function):
        op = _op(node)
        if op == "Abs" or (op == "Pow" and node._saved_exponent == 2):  # noqa: PLR2004
            yield from _difference(node, answer)
        elif op in {"Gather", "Index"} and answer.dim() == 2:  # noqa: PLR2004
            yield from _picked(node, answer)


def _difference(node: Any, answer: torch.Tensor) -> Iterator[Head]:
    """`(answer - target)`, either way round, squared or without its sign."""
    difference, below = saved_tensor(node, "_saved_self"), _below(node)
    if difference is None or below is None or _op(below) != "Sub":
        return
    sides = [function for function, _ in below.next_functions]
    made = [side for side in sides if side is not None]
    if len(made) != 1 or _through(made[0]) is not answer.grad_fn:
        return
    given = _as(answer, difference)
    if given is not None:
        target = given - difference if sides[0] is not None else difference + given
        rows = (len(given), -1)
        flat, wanted = given.reshape(rows).float(), target.reshape(rows).float()
        yield Head("values", "Difference", flat, wanted, node)


def _as(answer: torch.Tensor, difference: torch.Tensor) -> torch.Tensor | None:
    """The answer in the shape of a difference to it."""
    if answer.numel() == difference.numel():
        return answer.reshape(difference.shape)
    return answer.expand_as(difference) if answer.dim() == difference.dim() else None


def _picked(node: Any, answer: torch.Tensor) -> Iterator[Head]:
    """Log-probabilities of the labels."""
    if not any(_op(below) in _NORMALISED for below in _nearest(node)):
        return
    if _op(node) == "Gather":
        labels = saved_tensor(node, "_saved_index")
    else:
        labels = node._saved_indices[-1]
    if labels is None or labels.numel() != len(answer) or labels.is_floating_point():
        return
    given = torch.log_softmax(answer, 1).float()
    yield Head("classes", "Picked", given, labels.reshape(-1).long(), node)


def _nearest(function: Any) -> Iterator[Any]:
    waiting, seen = [function], 0
    while waiting and seen < REACH:
        node = waiting.pop(0)
        if node is None:
            continue
        seen += 1
        yield node
        waiting.extend(below for below, _ in node.next_functions)


def _through(node: Any) -> Any:
    """Down to what was only laid out anew."""
    while node is not None and _op(node) in _LAYOUT:
        node = _below(node)
    return node


def _below(node: Any) -> Any:
    return next((function for function, _ in node.next_functions if function is not None), None)


def _op(node: Any) -> str:
    name: str = node.name().rpartition("::")[2].partition("Backward")[0]
    return name
