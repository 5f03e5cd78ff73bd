"""exploding-depth (A07): signal and gradient grow from layer to layer, and nothing holds them.

## What is seen
Four layers or more one behind the other, each with weights of a sound size; yet what the last is
given is many times what the first puts out, the gradient comes back many times as large, and no
norm stands between. The first loss is far above that of a guess, or the loss is soon not finite, or
the learning rate is beyond twice what the curvature bears with its whole 99% interval, and the loss
does not fall.
## Why the net does not learn
Each block adds to its input something as large as the input (or a layer multiplies it by a little
too much): with depth the factors multiply. The first answers are absurd, and one step at the usual
rate throws the weights far out.
## When this is wrong
Growth that a norm takes back before the next layer, or before the head, is harmless: pre-norm
transformers grow so. Weights that are too large by themselves are A05.
## What to try
A norm at the entry of each block; or begin the last layer of each block at 0, or scale its result
by one over the root of the depth. Clipping gradients only hides it.
## Sources
He et al. 2016; Zhang et al. 2019, "Fixup initialization" (arXiv 1901.09321); De & Smith 2020 (arXiv
2002.10444); Stack Overflow 52024026 and 36565430; docs/limits.md, A07.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

from torchdx.graph.model import Line
from torchdx.record.model import Record
from torchdx.rules.architecture.harm import first_over_guess, not_finite
from torchdx.rules.architecture.stages import NORMS, Stage, chain, main_graph
from torchdx.rules.base import Answer, Evidence, Excluded, Finding, Prescription, rule
from torchdx.rules.optimisation.strides import Course, Curved, beyond, bound, busiest

LAYERS = 4  # with fewer there is no depth to speak of
# What the last layer is given over what the first puts out, in the first step. Healthy chains
# without norms 2.7 at most, sick ones 61 and 20,000.
GROWTH = 15.0
# Gradient by the first layer's outputs over that by those of the last but one. Healthy chains 6.3
# at most, sick ones 22 and 39,000.
BACK = 12.0
SOUND = 2.7  # gain of single weights above which A05 has the cause
# First loss over that of a guess; sick 16 and 2e8. Healthy 2.6 at most, but for one recurrent net
# (7.4).
WORSE = 3.0
HOVERING = 2.0  # times the limit of stable steps; healthy runs reach 1.4 with SGD
NO_FALL = 0.98  # loss of the last quarter over the third
FAR = 10.0  # as much worse than a guess is plain


class _Growth(NamedTuple):
    """How the signal grows forwards and the gradient backwards through a chain."""

    way: list[Stage]
    forward: float
    backward: float
    gain: float


@rule("A07", "exploding-depth", silences="O01 O17 L19 A13 D06 A02 A14 D17 O15")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the longest chain of the commonest loss graph."""
    graph = main_graph(record)
    growth = None if graph is None else growth_of(record, chain(graph))
    if graph is None or growth is None or growth.gain >= SOUND:
        return
    if growth.forward < GROWTH or growth.backward < BACK:
        return
    worse = first_over_guess(record, graph.key)
    optimizer = busiest(record)
    plain = optimizer is not None and not optimizer.scale_free
    lost, steep = not_finite(record), beyond(record) if plain else None
    if lost or (plain and _stuck(record)) or (worse is not None and worse >= WORSE):
        yield _finding(record, growth, worse, steep, lost=lost)


def _stuck(record: Record) -> bool:
    """Whether steps are far beyond what the curvature bears, and the loss does not fall."""
    course = Course(record)
    return course.known and course.fall >= NO_FALL and beyond(record, HOVERING) is not None


def growth_of(record: Record, way: list[Stage]) -> _Growth | None:
    """How signal and gradient grow through a chain; None for a short one, or one with norms."""
    if len(way) < LAYERS or any(stage.through & NORMS for stage in way[:-1]):
        return None
    first, last = _size(record, way[0]), _size(record, way[-1])
    gain = way[-1].begun(record, "activation.gain")
    back = [way[i].begun(record, "output_gradient.rms") for i in (0, -2)]
    weights = [known for stage in way if (known := stage.gain(record)) is not None]
    if not first or not last or not gain or not all(back) or not weights:
        return None
    return _Growth(way, last / gain / first, (back[0] or 0.0) / (back[1] or 1.0), max(weights))


def _size(record: Record, stage: Stage) -> float | None:
    """The root mean square of what a layer puts out in the first step."""
    mean, std = (record.series(f"activation.{what}", stage.place) for what in ("mean", "std"))
    return math.hypot(mean[0][1], std[0][1]) if mean and std else None


def _finding(
    record: Record, growth: _Growth, worse: float | None, steep: Curved | None, *, lost: bool
) -> Finding:
    way = growth.way
    text = (
        f"over {len(way)} layers without a norm the signal grows {growth.forward:.3g} times, from "
        f"{way[0].place} to what {way[-1].place} is given, and the gradient {growth.backward:.3g} "
        "times on its way back"
    )
    if worse is not None and worse >= WORSE:
        text += f"; the first loss is {worse:.3g} times that of a guess"
    if lost:
        text += "; the loss is not finite later on"
    if steep is not None:
        text += f"; at step {steep.step} the rate is {steep} times what the curvature bears (99%)"
    evidence = [
        Evidence("growth of the signal", float(f"{growth.forward:.3g}"), GROWTH),
        Evidence("growth of the gradient", float(f"{growth.backward:.3g}"), BACK),
    ]
    if worse is not None:
        evidence.append(Evidence("first loss over that of a guess", float(f"{worse:.3g}"), WORSE))
    if steep is not None:
        evidence.append(bound(steep, 1))
    plain = lost or (worse is not None and worse >= FAR)
    return Finding(
        text=text,
        line=_line(record, way),
        place=way[-1].place,
        severity="fault" if plain else "suspicion",
        confidence="strong",
        confirm="" if plain else "with a norm in each block the first loss is that of a guess",
        evidence=tuple(evidence),
        excluded=(
            Excluded("A05", "largest gain of a layer's weights", round(growth.gain, 3), SOUND),
        ),
        prescriptions=(
            Prescription(
                "norm",
                "put a norm at the entry of each block",
                where=", ".join(stage.place for stage in way[1:]),
            ),
            Prescription("scale", f"scale each block's result by {len(way) ** -0.5:.2g}"),
        ),
    )


def _line(record: Record, way: list[Stage]) -> Line | None:
    """Where one of the inner layers is called."""
    inner = way[len(way) // 2]
    return inner.layer.node.line or inner.line(record)
