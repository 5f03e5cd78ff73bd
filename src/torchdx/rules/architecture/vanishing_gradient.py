"""vanishing-gradient (A03): saturating layers, one behind the other, use the gradient up.

## What is seen
Layers one behind the other with sigmoid or tanh between, no norm and no skip connection. From each
to the one before, the gradient loses most of its size to the derivative of the activation, so that
the first of them is pulled, for its size, only a small part as hard as what follows them; and the
loss stays at that of a guess for much of the run.
## Why the net does not learn
The derivative of the sigmoid is a quarter at most, that of tanh far from 0 nearly nothing. The
factors multiply, layer by layer: what the loss wants does not reach the first layers, and these
decide what the later ones can tell apart.
## When this is wrong
Weights too small shrink the gradient just as well: that factor is taken out here, and told as A06.
Optimisers that divide by gradient sizes (Adam) get over a few such layers, late; runs that are not
held up are passed over.
## What to try
ReLU (with He's initialisation) in place of the sigmoid; or a norm in front of each activation; or
skip connections. If the activation has to stay: tanh with Glorot's initialisation.
## Sources
Glorot & Bengio 2010; Hochreiter 1998; Stack Overflow 50209981; docs/limits.md, A03.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from torchdx.graph.model import Line
from torchdx.record.model import Record
from torchdx.rules.architecture.harm import waited
from torchdx.rules.architecture.stages import (
    NORMS,
    SATURATING,
    Stage,
    chain,
    main_graph,
    weight_rms,
)
from torchdx.rules.base import Answer, Evidence, Excluded, Finding, Prescription, rule
from torchdx.rules.series import early

LAYERS = 3  # fewer sigmoids cost a factor of 16 at most
# Factor that the activation leaves of the gradient, in the geometric mean over the layers. Sigmoid:
# 0.25 at most, by its derivative; sick 0.22. Healthy chains of tanh 0.49 at least (one layer), 0.71
# (three).
SLOPE = 0.4
# Relative gradient of the first of the layers over that of the layer behind them. Sick 0.010 and
# 0.0002; healthy chains of three 0.36, of one or two 0.056 (0.011 in an actor-critic).
LEFT = 0.05
# Part of the run before the loss is below a guess's; sick 0.38 and 1.0. By itself it says little:
# most healthy runs have 0.14 at most, a few 0.35, those with weighted classes 1.0.
HELD_UP = 0.25
STUCK, NOTHING = 0.9, 1e-3  # of the run; of the relative gradient: the harm is plain then


@dataclass(frozen=True)
class _Slope:
    """A row of saturating layers and the layer behind them.

    slope   geometric mean of what the activations leave of the gradient
    weights geometric mean of what the weights make of it
    left    relative gradient of the first over that of the last
    """

    layers: list[Stage]
    slope: float
    weights: float
    left: float


@rule("A03", "vanishing-gradient", silences="A13 D06 A08 O02 A06")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the first row of such layers in the commonest loss graph."""
    graph = main_graph(record)
    if graph is None:
        return
    wait = waited(record, graph.key)
    if wait is None or wait < HELD_UP:
        return
    for layers in rows_of(chain(graph)):
        seen = slope_of(record, layers)
        if seen is not None and seen.slope <= SLOPE and seen.left <= LEFT:
            yield _finding(record, seen, wait)
            return


def rows_of(way: list[Stage], *, least: int = LAYERS) -> Iterator[list[Stage]]:
    """Stretches of saturating layers, each with the layer behind it at its end."""
    row: list[Stage] = []
    for stage in way:
        row.append(stage)
        if not _saturates(stage):
            if len(row) > least:
                yield row
            row = []


def _saturates(stage: Stage) -> bool:
    plain = not stage.joined and not stage.through & NORMS
    return bool(stage.feeds) and plain and bool(stage.through & SATURATING)


def slope_of(record: Record, layers: list[Stage]) -> _Slope | None:
    """What a row of layers leaves of the gradient; None where something was not measured."""
    gradients = [stage.begun(record, "output_gradient.rms") for stage in layers]
    roots = [weight_rms(record, stage.layer.weight) for stage in layers[1:]]
    pulls = [_relative(record, stage) for stage in (layers[0], layers[-1])]
    if not all(gradients) or not all(roots) or not all(pulls):
        return None
    weights = [r * math.sqrt(s.fan_out) for r, s in zip(roots, layers[1:], strict=True) if r]
    lost = [math.log(g) for g in gradients if g]
    by_weights = sum(math.log(w) for w in weights) / len(weights)
    both = (lost[0] - lost[-1]) / len(weights)
    first, last = (p or 0.0 for p in pulls)
    return _Slope(layers, math.exp(both - by_weights), math.exp(by_weights), first / last)


def _relative(record: Record, stage: Stage) -> float | None:
    """The gradient of a weight over the weight, in the first steps."""
    gradient = early(record.series("gradient.norm", stage.layer.weight))
    weight = early(record.series("weight.norm", stage.layer.weight))
    return gradient / weight if gradient and weight else None


def _finding(record: Record, seen: _Slope, wait: float) -> Finding:
    first, count = seen.layers[0], len(seen.layers) - 1
    ops = sorted(set().union(*(s.through for s in seen.layers[:-1])) & SATURATING)
    kind = " and ".join(op.lower() for op in ops)
    places = ", ".join(stage.place for stage in seen.layers[:-1])
    plain = wait >= STUCK and seen.left <= NOTHING
    text = (
        f"{count} layers in a row end in {kind}, and each leaves {seen.slope:.2g} of the gradient: "
        f"{first.place} is pulled {seen.left:.1g} times as hard, for its size, as "
        f"{seen.layers[-1].place} behind them, and {wait:.0%} of the run "
        "go by before the loss is below that of a guess"
    )
    return Finding(
        text=text,
        line=_line(record, seen.layers),
        place=first.place,
        severity="fault" if plain else "suspicion",
        confidence="strong",
        confirm="" if plain else f"with ReLU in place of {kind} the loss falls in the first epoch",
        evidence=(
            Evidence("what an activation leaves of the gradient", round(seen.slope, 3), SLOPE),
            Evidence("relative gradient, first over last", float(f"{seen.left:.3g}"), LEFT),
            Evidence("part of the run at the loss of a guess", round(wait, 3), HELD_UP),
        ),
        excluded=(
            Excluded("A06", "what the weights make of the gradient", round(seen.weights, 3), 1.0),
        ),
        prescriptions=(
            Prescription("activation", f"use ReLU in place of {kind}", places, "ReLU"),
            Prescription("norm", "put a norm in front of each activation", first.place),
        ),
    )


def _line(record: Record, layers: list[Stage]) -> Line | None:
    """Where the activation is called; where the first layer is made, when a container calls it."""
    return layers[0].layer.node.line or layers[0].line(record)
