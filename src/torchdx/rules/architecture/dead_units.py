"""dead-units (A02): much of a layer answers below zero to every row, and ReLU makes it nothing.

## What is seen
In a layer that feeds a ReLU at least half of the units were never above zero in the last eight
sampled batches, and nearly all of the gradient that comes back to the layer is exactly zero (behind
ReLU about half is usual).
## Why the net does not learn
A unit that is below zero for every row puts out 0 and gets no gradient, so that its weights no
longer move by themselves: the layer is as narrow as what is left of it. When all are dead, nothing
in front of the layer learns, and the loss stays at that of a guess.
## When this is wrong
Sparse codes are meant to be silent for most rows, but not for all. Where few rows were seen, rare
units look dead: fewer than 64 rows are not judged, nor layers that are not trained.
## What to try
Where the units were dead from the first steps: begin biases at 0 and draw weights around 0 (He).
Where they died later: a smaller step, or warm-up. LeakyReLU or GELU let them come back.
## Sources
Lu et al. 2019, "Dying ReLU and initialization" (arXiv 1903.06733); He et al. 2015 (arXiv
1502.01852); Stack Overflow 54688502 and 52783615; docs/limits.md, A02.
"""

from collections.abc import Iterator
from statistics import median

from torchdx.record.model import Record, Series
from torchdx.rules.architecture.harm import waited
from torchdx.rules.architecture.stages import Rectified, rectified
from torchdx.rules.base import Answer, Evidence, Excluded, Finding, Prescription, rule

# Share of a layer's units that never rose above zero. Healthy layers 0.38 at most, sick ones 0.58
# to 1.0; other sick runs up to 0.75.
DEAD = 0.5
# Share of the gradient by the layer's outputs that is zero, in most samples. Healthy layers with
# more than a quarter of dead units: 0.87 at most; sick ones 0.97 to 1.0; other sick runs 0.64 to 1.
BLOCKED = 0.93
WINDOW = 8  # samples over which the instrument calls a unit dead
ROWS = 64  # within the window; a unit that one row in 20 excites is missed with 4% then
STUCK = 0.9  # of the run without getting below a guess: the harm is plain


@rule("A02", "dead-units", silences="D06 A13 A03 A08 O02")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the layer of this kind that is nearest to the inputs."""
    for graph in record.graphs.values():
        found = [layer for layer in rectified(graph) if _is_dead(record, layer, graph.key)]
        if found:
            yield _finding(record, found, graph.key)
            return


def _is_dead(record: Record, layer: Rectified, graph: int) -> bool:
    dead = record.series("unit.dead", layer.place)
    zeros = record.series("output_gradient.zeros", layer.place)
    if not judged(record, layer, graph, dead) or not zeros:
        return False
    return lately(dead) >= DEAD and median(value for _, value in zeros) >= BLOCKED


def judged(record: Record, layer: Rectified, graph: int, dead: Series) -> bool:
    """Whether enough rows went through a layer that is trained."""
    rows = [count for _, count in record.series("batch.rows", str(graph))]
    enough = not rows or median(rows) * WINDOW >= ROWS
    return len(dead) >= WINDOW and enough and layer.weight in record.optimized


def lately(series: Series) -> float:
    """The median of the last three samples."""
    return median(value for _, value in series[-3:])


def _finding(record: Record, found: list[Rectified], graph: int) -> Finding:
    layer = found[0]
    dead = record.series("unit.dead", layer.place)
    zeros = record.series("output_gradient.zeros", layer.place)
    share, blocked, began = lately(dead), lately(zeros), dead[WINDOW - 1][1]
    from_start = began >= DEAD
    wait = waited(record, graph)
    stuck = blocked == 1.0 and wait is not None and wait >= STUCK
    when = "from the first steps on" if from_start else f"in the first steps {began:.0%}"
    text = (
        f"{share:.0%} of the units of {layer.place} were never above zero in the last {WINDOW} "
        f"samples ({when}), and {blocked:.1%} of the gradient that comes back to it is zero"
    )
    if stuck:
        text += ": nothing in front of it learns, and the loss stays at that of a guess"
    return Finding(
        text=text,
        line=record.made(layer.place) or layer.node.line,
        place=layer.place,
        severity="fault" if stuck else "suspicion",
        confidence="strong",
        confirm="" if stuck else "with LeakyReLU there the training loss falls further",
        evidence=(
            Evidence("share of units never above zero", round(share, 3), DEAD),
            Evidence("share of the gradient that is zero", round(blocked, 4), BLOCKED),
        ),
        excluded=_rivals(from_start=from_start, began=began),
        prescriptions=_changes(found, from_start=from_start),
    )


def _rivals(*, from_start: bool, began: float) -> tuple[Excluded, ...]:
    if not from_start:
        return ()
    return (Excluded("O01", "share dead before the steps could do it", round(began, 3), DEAD),)


def _changes(found: list[Rectified], *, from_start: bool) -> tuple[Prescription, ...]:
    """For all dead layers at once: behind one that stays dead nothing learns."""
    places = ", ".join(dict.fromkeys(layer.place for layer in found))
    which = "this layer" if len(found) == 1 else "these layers"
    leaky = Prescription("activation", f"use LeakyReLU behind {which}", places, "LeakyReLU")
    if from_start:
        one = "its bias at 0 and draw its"
        its = one if len(found) == 1 else "their biases at 0 and draw their"
        text = f"begin {its} weights around 0 (kaiming_normal_)"
        return (Prescription("reinit", text, places, "he_normal"), leaky)
    return (Prescription("step_size", "halve the learning rate", "all", "x0.5"), leaky)
