"""weights-too-large (A05): the net begins with weights that blow its signals up.

## What is seen
Layers whose first weights are several times as large as their number of inputs allows: what comes
out is several times what goes in, and nothing brings it back to size. And the run shows it from its
first step: the loss is far above that of a guess, or a large part of the tanh units is saturated.
## Why the net does not learn
The first answers are sure and wrong, and the first part of the run goes into taking them back; with
weights far from 0 the usual step hardly changes their direction. Saturated units pass no gradient
on.
## When this is wrong
Layers in front of a norm may be of any size; so may embeddings, and weights that the program scales
itself when it uses them. Inputs that are too large show in the first layer alone, and are D01.
## What to try
Draw weights with the deviation root of 2 / inputs behind ReLU (`kaiming_normal_`), root of
1 / inputs for tanh (`xavier_normal_`); or leave torch's default.
## Sources
Glorot & Bengio 2010; He et al. 2015 (arXiv 1502.01852), section 2.2; Stack Overflow 40147568 and
61498304; docs/limits.md, A05.
"""

from collections.abc import Iterator
from typing import NamedTuple

from torchdx.record.model import Record
from torchdx.rules.architecture.harm import first_over_guess
from torchdx.rules.architecture.stages import NORMS, SATURATING, Stage, main_graph, stages
from torchdx.rules.base import Answer, Evidence, Excluded, Finding, Prescription, rule

# Root mean square of the weights times the root of a unit's inputs: 1 keeps the size of the signal,
# 1.41 behind ReLU. Healthy layers 1.5 at most, sick ones 3.9 to 28. What the layer measurably does
# to the size of its inputs has to be as large, or the program scales its weights, or its inputs are
# mostly zeros.
GAIN = 2.7
# Deviation of the outputs: tiny inputs may well be blown up. Sick 3.6 and more; healthy 2.2 at most
# but for one net on large inputs (6.4) and nets met when they were trained (5.5), which are left
# alone.
SIZE = 2.5
# First loss over that of a guess; sick 2.2 (saturated) and 750. Healthy 2.6 at most, but for one
# recurrent net (7.4).
WORSE = 3.0
FAR = 10.0  # as much worse than a guess is plain
# Share of values beyond 3 in front of tanh, where its derivative is below 0.01. Sick 0.41,
# healthy 0.16 at most but for large inputs (0.48).
SATURATED = 0.3
_SCALED = frozenset({"Mul", "Div"})


class _Large(NamedTuple):
    """A layer, its weights' gain, and what it measurably did to the size of the signal."""

    stage: Stage
    gain: float
    measured: float


@rule("A05", "weights-too-large", silences="O01 O17 L19 A03 A07 A13 D06 A02 A14 D17 R03")
def check(record: Record) -> Iterator[Answer]:
    """One finding with all such layers of the commonest loss graph."""
    graph = main_graph(record)
    if graph is None:
        return
    found = [large for stage in stages(graph).values() if (large := _large(record, stage))]
    if not found:
        return
    found.sort(key=lambda large: -large.stage.layer.node.index)
    worse = first_over_guess(record, graph.key) or 0.0
    full = max((saturated(record, large.stage) for large in found), default=0.0)
    if worse >= WORSE or full >= SATURATED:
        yield _finding(record, found, worse, full)


def _large(record: Record, stage: Stage) -> _Large | None:
    gain, measured = stage.gain(record), stage.begun(record, "activation.gain")
    spread = stage.begun(record, "activation.std")
    if gain is None or measured is None or spread is None or stage.through & NORMS:
        return None
    if record.series("activation.gain", stage.place)[0][0] > 1:  # it has been trained until now
        return None
    if gain >= GAIN and measured >= GAIN and spread >= SIZE:
        return _Large(stage, gain, measured)
    return None


def saturated(record: Record, stage: Stage) -> float:
    """The share of its values that a tanh or sigmoid behind it cannot tell apart."""
    if not stage.through & SATURATING or stage.through & _SCALED:
        return 0.0
    signal = "activation.beyond3" if "Tanh" in stage.through else "activation.beyond6"
    return stage.begun(record, signal) or 0.0


def _redrawn(found: list[_Large]) -> Prescription:
    """All of them at once: with one of them as it is, the others would not show."""
    texts = [
        f"of {large.stage.place} with deviation {large.stage.fan_in**-0.5:.2g} to "
        f"{(2 / large.stage.fan_in) ** 0.5:.2g}"
        for large in found
    ]
    places = ", ".join(large.stage.place for large in found)
    return Prescription("reinit", "draw the weights " + ", ".join(texts), places, "he_normal")


def _finding(record: Record, found: list[_Large], worse: float, full: float) -> Finding:
    first = found[0]
    text = (
        f"the weights of {', '.join(large.stage.place for large in found)} begin too large: "
        f"{first.stage.place} puts out {first.measured:.3g} times what it is given "
        f"(weights: {first.gain:.3g}; 1 to 1.4 keep the size)"
    )
    if worse >= WORSE:
        text += f"; the first loss is {worse:.3g} times that of a guess"
    if full >= SATURATED:
        text += f"; {full:.0%} of what the activation is given is where it is flat"
    evidence = [Evidence("weights times root of inputs", round(first.gain, 3), GAIN)]
    if worse:
        evidence.append(Evidence("first loss over that of a guess", round(worse, 3), WORSE))
    if full:
        evidence.append(Evidence("share of saturated values", round(full, 3), SATURATED))
    plain = worse >= FAR
    return Finding(
        text=text,
        line=first.stage.line(record),
        place=first.stage.place,
        severity="fault" if plain else "suspicion",
        confidence="strong",
        confirm="" if plain else "with torch's default weights the first loss is that of a guess",
        evidence=tuple(evidence),
        excluded=_rivals(record, first),
        prescriptions=(_redrawn(found),),
    )


def _rivals(record: Record, first: _Large) -> tuple[Excluded, ...]:
    spread = first.stage.begun(record, "activation.std")
    if spread is None:
        return ()
    inputs = round(spread / first.measured, 3)
    return (Excluded("D01", f"size of what {first.stage.place} is given", inputs, 1.0),)
