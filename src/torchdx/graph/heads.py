"""What a loss was computed from, as autograd keeps it: the predictions and the targets.

Read before backward, which lets go of them. A loss that torch computes in one operation keeps both;
cross-entropy with soft targets leaves a product of log-probabilities and targets, a squared
difference written by hand itself; of other losses nothing is known here.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch

from torchdx.graph.capture import find_head, saved_tensor, signed

Kind = Literal["classes", "soft", "units", "values"]

REACH = 12  # nodes from the root among which a head is looked for
_SUFFIX = re.compile(r"Backward\d*$")
_VALUES = frozenset("MseLoss SmoothL1Loss HuberLoss".split())
_UNITS = frozenset("BinaryCrossEntropyWithLogits BinaryCrossEntropy".split())


@dataclass(frozen=True)
class Head:
    """Predictions and targets, rows first.

    kind       `classes`: `given` holds log-probabilities (rows, classes), `target` class numbers
               (rows,); `soft`: the same with shares (rows, classes) as targets; `units`: one yes or
               no each, `given` as probabilities (rows, units); `values`: numbers (rows, outputs)
    op         torch's name of the loss less `Backward0`
    normal     for `classes`: whether the exponentials of `given` sum to one in each row
    ignored    for `classes`: rows left out, those with the label `ignore_index`
    node       autograd's node, valid until backward has ended
    """

    kind: Kind
    op: str
    given: torch.Tensor
    target: torch.Tensor
    node: Any
    normal: bool = True
    ignored: int = 0
    ignore_index: int | None = None


def read(root: Any) -> Head | None:
    """The head of the loss at `root`, None where it is of no kind that is known."""
    function = getattr(root, "grad_fn", None)
    if function is None:
        return None
    node = find_head(function, REACH)
    with torch.no_grad():
        try:
            return (_soft(function) or _squares(function)) if node is None else _of(node)
        except (RuntimeError, TypeError, IndexError, NotImplementedError):
            return None


def _of(node: Any) -> Head | None:
    op = _SUFFIX.sub("", node.name().rpartition("::")[2])
    given, target = saved_tensor(node, "_saved_self"), saved_tensor(node, "_saved_target")
    if given is None or target is None or not given.numel() or given.dtype.is_complex:
        return None
    if op.startswith("NllLoss"):
        return _classes(node, op, given, target)
    rows = (len(given), -1) if given.dim() else (1, 1)
    flat, wanted = given.reshape(rows).float(), target.expand_as(given).reshape(rows).float()
    if op in _UNITS:
        sure = torch.sigmoid(flat) if op.endswith("Logits") else flat
        return Head("units", op, sure, wanted, node)
    return Head("values", op, flat, wanted, node) if op in _VALUES else None


def _classes(node: Any, op: str, given: torch.Tensor, target: torch.Tensor) -> Head | None:
    if given.dim() > 2:  # noqa: PLR2004  # (rows, classes, ...): every place is a row
        given = given.movedim(1, -1)
    flat, wanted = given.reshape(-1, given.shape[-1]).float(), target.reshape(-1)
    ignore_index = signed(node._saved_ignore_index)
    kept = wanted != ignore_index
    ignored = int((~kept).sum())
    if ignored:
        flat, wanted = flat[kept], wanted[kept]
    if not len(flat):
        return None
    normal = bool(torch.logsumexp(flat, 1).abs().max() < 0.01)  # noqa: PLR2004  # as L05 has it
    return Head("classes", op, flat, wanted.long(), node, normal, ignored, ignore_index)


def _soft(function: Any) -> Head | None:
    for node in _nearest(function):
        if node.name().startswith("MulBackward0"):
            below = next((n for n, _ in node.next_functions if n is not None), None)
            weights = saved_tensor(node, "_saved_other")
            if weights is None:
                weights = saved_tensor(node, "_saved_self")
            if below is None or not below.name().startswith("LogSoftmax") or weights is None:
                continue
            given = saved_tensor(below, "_saved_result")
            if given is None or given.shape != weights.shape or given.dim() != 2:  # noqa: PLR2004
                continue
            return Head("soft", "SoftCrossEntropy", given.float(), weights.float(), node)
    return None


def _squares(function: Any) -> Head | None:
    """A squared difference written by hand, of what a softmax, sigmoid, tanh or ReLU put out."""
    for node in _nearest(function):
        if not node.name().startswith("PowBackward0") or node._saved_exponent != 2:  # noqa: PLR2004
            continue
        difference, below = saved_tensor(node, "_saved_self"), node.next_functions[0][0]
        if below is None or not below.name().startswith("SubBackward0") or difference is None:
            continue
        made = [made for made, _ in below.next_functions]
        sources = [n for n in made if n is not None]
        given = saved_tensor(sources[0], "_saved_result") if len(sources) == 1 else None
        if given is None or given.shape != difference.shape or given.dim() == 0:
            continue
        target = given - difference if made[0] is not None else difference + given
        rows = (len(given), -1)
        flat, wanted = given.reshape(rows).float(), target.reshape(rows).float()
        return Head("values", "SquaredDifference", flat, _rounded(wanted), node)
    return None


def _rounded(values: torch.Tensor) -> torch.Tensor:
    """Whole numbers as such where only rounding parts them from it."""
    whole = values.round()
    return whole if bool((values - whole).abs().max() < 1e-5) else values  # noqa: PLR2004


def _nearest(function: Any) -> Iterator[Any]:
    waiting, seen = [function], 0
    while waiting and seen < REACH:
        node = waiting.pop(0)
        seen += 1
        yield node
        waiting.extend(below for below, _ in node.next_functions if below is not None)
