"""weights-too-small (A06): the signal fades on its way through the net, and so does the gradient.

## What is seen
Layers whose first weights are several times smaller than keeps a signal's size, one of them at
least five times, or many one behind the other; no norm and no skip connection makes up for it. The
loss stays at that of a guess for a good part of the run.
## Why the net does not learn
Each layer shrinks what tells rows apart, and on the way back the gradient, so that the answers
hardly depend on the inputs, and the weights grow slowly, the faster the larger they already are.
Until then only the last bias learns.
## When this is wrong
A last layer that begins small is good practice; so are small weights behind a norm. A net that
learns from the first epoch on is left alone, whatever its weights.
## What to try
Draw weights with the deviation root of 2 / inputs behind ReLU (`kaiming_normal_`), root of
1 / inputs for tanh (`xavier_normal_`); or leave torch's default.
## Sources
Glorot & Bengio 2010; He et al. 2015 (arXiv 1502.01852), section 2.2; docs/limits.md, A06.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

from torchdx.record.model import Record
from torchdx.rules.architecture.harm import waited
from torchdx.rules.architecture.stages import HALVING, NORMS, Stage, chain, main_graph
from torchdx.rules.base import Answer, Evidence, Excluded, Finding, Prescription, rule

# A layer's weights over those that keep the signal's size (1, or the root of 2 behind ReLU).
# torch's default has 0.41 behind ReLU and 0.58 else; healthy nets 0.37 at least, sick ones 0.06 and
# 0.10.
SMALL = 0.17
# What all layers but the last leave of the signal. Healthy nets 0.06 at least; eight layers of
# torch's default, by its formula, 0.002. Sick nets of four layers 0.036 and 2e-5.
FADED = 1e-3
# Part of the run before the loss is below a guess's; sick 0.38 and 1.0. By itself it says little:
# most healthy runs have 0.14 at most, a few 0.35, those with weighted classes 1.0.
HELD_UP = 0.25
STUCK = 0.9
# Size of what the first layer is given: smaller inputs are D02.
INPUTS = 0.1


class _Faded(NamedTuple):
    """The first small layer, else the smallest: its weights over those that keep a signal's size.

    product   of this ratio over all layers but the last
    places    of all small layers; of the smallest, where none is small by itself
    """

    stage: Stage
    ratio: float
    product: float
    places: str


@rule("A06", "weights-too-small", silences="A13 D06 O02 A08 A03 O15")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the chain of layers of the commonest loss graph."""
    graph = main_graph(record)
    if graph is None:
        return
    way = chain(graph)
    if not way:
        return
    faded = faded_in(record, way)
    if faded is None or (faded.ratio > SMALL and faded.product > FADED):
        return
    wait = waited(record, graph.key)
    given = _given(record, way[0])
    if wait is not None and wait >= HELD_UP and given >= INPUTS:
        yield _finding(record, way, faded, wait, given)


def faded_in(record: Record, way: list[Stage]) -> _Faded | None:
    """How much the layers before the last take away; None where something restores it."""
    ratios = []
    for stage in way[:-1]:
        gain = stage.gain(record)
        if gain is None or not gain or stage.joined or stage.through & NORMS:
            return None
        ratios.append((gain / (math.sqrt(2) if stage.through & HALVING else 1.0), stage))
    if not ratios:
        return None
    small = [pair for pair in ratios if pair[0] <= SMALL]
    least, stage = small[0] if small else min(ratios, key=lambda pair: pair[0])
    places = ", ".join(each.place for _, each in small) or stage.place
    return _Faded(stage, least, math.prod(min(ratio, 1.0) for ratio, _ in ratios), places)


def _given(record: Record, first: Stage) -> float:
    """The size of what the first layer is given, 1 when it was not measured."""
    gain = first.begun(record, "activation.gain")
    mean, std = (first.begun(record, f"activation.{what}") for what in ("mean", "std"))
    return math.hypot(mean, std) / gain if gain and mean is not None and std is not None else 1.0


def _finding(record: Record, way: list[Stage], faded: _Faded, wait: float, given: float) -> Finding:
    last = way[-1].begun(record, "activation.std")
    text = (
        f"the weights begin too small: those of {faded.stage.place} are {faded.ratio:.2g} of what "
        f"keeps a signal's size, and {len(way) - 1} layers leave {faded.product:.2g} of it; "
    )
    if last is not None:
        text += f"the scores differ by {last:.2g} at first, and "
    text += f"{wait:.0%} of the run go by before the loss is below that of a guess"
    plain = wait >= STUCK
    return Finding(
        text=text,
        line=faded.stage.line(record),
        place=faded.stage.place,
        severity="fault" if plain and faded.ratio <= SMALL / 2 else "suspicion",
        confidence="strong" if faded.ratio <= SMALL else "weak",
        confirm="with weights drawn by kaiming_normal_ the loss falls in the first epoch",
        evidence=(
            Evidence("weights over those that keep the size", float(f"{faded.ratio:.3g}"), SMALL),
            Evidence("what all layers leave", float(f"{faded.product:.3g}"), FADED),
            Evidence("part of the run at the loss of a guess", round(wait, 3), HELD_UP),
        ),
        excluded=(
            Excluded("D02", "size of what the first layer is given", round(given, 3), INPUTS),
        ),
        prescriptions=(
            Prescription(
                "reinit",
                f"draw the weights with deviation root of 2 / inputs: "
                f"{(2 / faded.stage.fan_in) ** 0.5:.2g} in {faded.stage.place}",
                faded.places,
                "he_normal",
            ),
        ),
    )
