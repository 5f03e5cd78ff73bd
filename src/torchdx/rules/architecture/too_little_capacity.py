"""too-little-capacity (A08): the net cannot tell apart what its inputs tell apart.

## What is seen
After 150 steps and more the loss is still high. A copy of the net cannot fit one batch either: not
from its weights and not from new ones, at any of three step sizes, dropout off, though gradients
reach the weights. And the inputs do tell the answers: a kernel regression on the same batch, which
for each row has seen the other rows alone, is clearly better than the trained net.
## Why the net does not learn
Some layer is too narrow, or what stands before it too simple, to keep what the answer depends on.
No step size and no more epochs help.
## When this is wrong
A net that is to compress (an autoencoder's code) is meant to lose something; its loss has no such
rows of labels. Where one batch can be fitted, the fault lies elsewhere: step size, data, dropout.
## What to try
Widen the narrowest layer (four times as many units), or add a layer with a non-linearity before it.
## Sources
The fault taxonomy of Humbatova et al. 2020 (missing or too small layers); DeepFD's layer faults;
Karpathy 2019 (overfit one batch first); docs/limits.md, A08.
"""

import math
from collections.abc import Iterator

from torchdx.graph.model import Line
from torchdx.record.model import Event, Json, Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule

ERRORS = 2.0  # standard errors by which the regression has to be better
VARIANCE = 0.1  # of the targets, that it has to explain more, where these are numbers


@rule("A08", "too-little-capacity")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the first model whose last fit failed."""
    if sum(optimizer.steps > 0 for optimizer in record.optimizers.values()) > 1:
        return  # nets that play against each other are not meant to fit their batches
    last = {event.facts["model"]: event for event in record.probes("one-batch")}
    for event in last.values():
        if _too_small(event):
            yield _finding(record, event)
            return


def _too_small(event: Event) -> bool:
    facts = event.facts
    control, score = facts["control"], facts["score"]
    if facts["fitted"] or control is None or not facts["gradient"] > 0:
        return False
    margin = VARIANCE
    if facts["head"] != "values":
        margin = ERRORS * math.sqrt(max(score * (1 - score), 0.01) / facts["rows"])
    return bool(control > score + margin)


def _finding(record: Record, event: Event) -> Finding:
    facts = event.facts
    name, width, line = _narrowest(record, facts["model"])
    values = facts["head"] == "values"
    what = "share of variance explained" if values else "share of rows right"
    layer = f" (narrowest: {name}, {width} wide)" if name else ""
    return Finding(
        text=f"the net cannot fit one batch of {facts['rows']} rows at any step size: a loss of "
        f"{facts['best']:.3g} is left of {facts['reference']:.3g}; {_got(facts, values=values)}, "
        f"a kernel regression on the other rows {facts['control']:.0%}{layer}",
        line=line or event.line,
        place=name or facts["model"],
        severity="suspicion",
        confirm="the same net, four times as wide there, has a lower training loss",
        evidence=(
            Evidence(f"{what}, of the net as trained", facts["score"], facts["control"]),
            Evidence("loss left when fitting one batch", facts["best"], facts["reference"]),
        ),
        prescriptions=(
            Prescription("widen", "make this layer four times as wide", where=name, to="x4"),
        ),
    )


def _got(facts: Json, *, values: bool) -> str:
    """What the net as trained gets of the batch."""
    if not values:
        return f"it gets {facts['score']:.0%} of them right"
    if facts["score"] < 0:
        return "it is farther from the targets than their mean is (0% of their variance)"
    return f"it explains {facts['score']:.0%} of the targets' variance"


def _narrowest(record: Record, model: str) -> tuple[str, int, Line | None]:
    """The layer within a model that has the fewest outputs, the last one left out."""
    prefix = model + "." if model else ""
    for held in record.models:
        layers = [
            (shape[0], module)
            for module, names in held.own.items()
            for shape in (held.parameters[n] for n in names if n in held.parameters)
            if module.startswith(prefix) and len(shape) > 1
        ][:-1]
        if layers:
            width, module = min(layers, key=lambda layer: layer[0])
            return module, width, held.lines.get(module)
    return "", 0, None
