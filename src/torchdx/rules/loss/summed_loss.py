"""summed-loss (L09): the loss is a sum over the batch, and the steps are as much too long.

## What is seen
The loss adds up its rows (`reduction='sum'`, or `.sum()` by hand) and nothing on the way to
`backward` divides by their number; the optimizer takes steps in proportion to the gradient; the
first steps changed the weights by a large part of their size; and the loss rose far beyond where it
began, became infinite or did not fall. All of these together.
## Why the net does not learn
The gradient of a sum over N rows is N times that of their mean, so that the learning rate is N
times what it says. Rates made for a mean throw the weights far away in the first steps, where units
die or numbers overflow. The effect changes with the batch size.
## When this is wrong
A sum is right in itself: with a rate tuned to it, or with Adam and its kin, whose steps do not grow
with the loss, a run learns well and this rule is silent. Where the mean would step too far as well,
the rate is to blame.
## What to try
`reduction='mean'`, or divide the learning rate by the number of rows.
## Sources
Stack Overflow 43611745, 41954308, 43027109, 51146597; Goyal et al. 2017 (arXiv 1706.02677) on rate
and batch size.
"""

import math
from collections.abc import Iterator
from statistics import median
from typing import NamedTuple

from torchdx.graph.model import LossGraph, Node
from torchdx.record.model import Optimizer, Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule
from torchdx.rules.loss.scores import is_layer

# Largest change of the weights in one of the first five steps, as a share of their size. Measured
# on digits and 2,000 rows of Fashion-MNIST (linear net, and one hidden layer of 64; SGD with and
# without momentum 0.9, batch 64, 4 epochs). Mean, rates 0.003 to 0.1, 32 runs: 0.0005 to 0.43. Sum,
# rates 0.0003 to 0.003: 0.0035 to 0.31, one linear net 0.88; rates 0.01 to 0.1: 0.16 to 28. Nets
# with a hidden layer that had 0.97 or more ended at an accuracy of 10 to 48 %, the linear net on
# digits at 98 % even with 5.9: this alone says nothing.
LONG_STEP = 0.5
# Highest loss of the run over its first, in the same runs. Mean: at most 1.8. Sum: at most 8.9
# where the loss fell to two thirds or less afterwards, and up to 1e19 where it did not.
RISE = 10.0
# Median of the last quarter's losses over that of the first three. Mean: at most 0.73 where a step
# was longer than 0.006. Sum, nets that died: 0.87 to 1.1.
NOT_FALLEN = 0.85
ENOUGH = 20  # losses that make a quarter of five
MEANT = 2.0  # a loss that weighs no more rows than this counts as averaged

_ROWWISE = frozenset(
    "MseLoss SmoothL1Loss HuberLoss BinaryCrossEntropyWithLogits BinaryCrossEntropy NllLoss "
    "NllLoss2D SoftMarginLoss KlDiv".split()
)
_SUM = 2  # torch's number for reduction="sum"


class _Summed(NamedTuple):
    """A loss that adds up `rows` rows, which count as `weight` rows at the root."""

    graph: LossGraph
    node: Node
    rows: int
    weight: float


class _Harm(NamedTuple):
    text: str
    value: float
    against: float


@rule("L09", "summed-loss")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the first summed loss under an optimizer whose steps grow with it."""
    for graph in record.graphs.values():
        optimizer = _driven(record, graph)
        summed = next(_sums(graph), None)
        if optimizer is None or summed is None or summed.weight <= MEANT:
            continue
        steps, harm = _first_steps(record, optimizer), _harm(record)
        if harm is None or not steps or max(steps) < LONG_STEP:
            continue
        if steps[0] / summed.weight < LONG_STEP:  # a mean would have begun well
            yield _finding(summed, optimizer, steps, harm)
            return


def _driven(record: Record, graph: LossGraph) -> Optimizer | None:
    """The optimizer that steps on this loss, where the size of its steps follows the loss."""
    for optimizer in record.optimizers.values():
        if set(optimizer.parameters) & set(graph.leaves):
            return None if optimizer.scale_free else optimizer
    return None


def _sums(graph: LossGraph) -> Iterator[_Summed]:
    for node in graph.below(graph.root):
        rows = _rows_of_loss(node) or _rows_by_hand(graph, node)
        scale = graph.scale(node) if rows > 1 else None
        if scale is not None:
            yield _Summed(graph, node, rows, rows * abs(scale))


def _rows_of_loss(node: Node) -> int:
    """The rows that a loss of torch's adds up; 0 for any other node."""
    if node.op not in _ROWWISE or node.saved.get("reduction") != _SUM:
        return 0
    shape = node.saved.get("self_shape") or [0]
    return int(shape[0])


def _rows_by_hand(graph: LossGraph, node: Node) -> int:
    """The rows that a sum to a scalar adds up, where they are the rows of a layer's output."""
    sizes = node.saved.get("self_sym_sizes") or [0]
    if node.op != "Sum" or node.shape != () or not sizes:
        return 0
    layers = (below for below in graph.below(node) if is_layer(graph, below))
    same = any(layer.shape and layer.shape[0] == sizes[0] for layer in layers)
    return int(sizes[0]) if same else 0


def _first_steps(record: Record, optimizer: Optimizer) -> list[float]:
    """The change of the weights in each of the first looks, as a share of their size."""
    shares = [
        look.update_norm / look.weight_norm
        for look in record.looks_of(optimizer.id)[:5]
        if look.update_norm is not None and look.weight_norm
    ]
    return [share for share in shares if math.isfinite(share)]


def _harm(record: Record) -> _Harm | None:
    """How the loss shows that the steps were too long, if it does."""
    losses = [loss for _, loss in record.losses]
    if not losses or not math.isfinite(losses[0]) or losses[0] <= 0:
        return None
    broken = next((s for s, loss in record.losses if not math.isfinite(loss)), None)
    if broken is not None:
        return _Harm(f"the loss is not finite from step {broken} on", math.nan, losses[0])
    top = max(losses)
    if top >= RISE * losses[0]:
        return _Harm(f"the loss rose from {losses[0]:.3g} to {top:.3g}", top, RISE * losses[0])
    if len(losses) < ENOUGH:
        return None
    first, last = median(losses[:3]), median(losses[-len(losses) // 4 :])
    if last >= NOT_FALLEN * first:
        text = f"the loss did not fall ({first:.3g} at first, {last:.3g} in the end)"
        return _Harm(text, last, NOT_FALLEN * first)
    return None


def _finding(summed: _Summed, optimizer: Optimizer, steps: list[float], harm: _Harm) -> Finding:
    step = max(steps)
    rate = optimizer.lrs[0][1] if optimizer.lrs else optimizer.defaults.get("lr", 0.0)
    return Finding(
        text=f"the loss is a sum over {summed.rows} rows, so that {optimizer.cls}'s learning rate "
        f"of {rate:g} acts like {rate * summed.weight:.3g} on a mean: one of the first steps "
        f"changed the weights by {step:.3g} times their size, and {harm.text}",
        line=summed.node.line or summed.graph.backward,
        place="loss",
        evidence=(
            Evidence("rows that are added up", summed.rows, 1),
            Evidence("largest change of the weights in a step, share", round(step, 3), LONG_STEP),
            Evidence(
                "first step, had it been a mean", round(steps[0] / summed.weight, 4), LONG_STEP
            ),
            Evidence("loss", harm.value, harm.against),
        ),
        prescriptions=(Prescription("reduction", "average the loss: reduction='mean'", to="mean"),),
    )
