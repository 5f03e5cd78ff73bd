"""detached-subnetwork (T02): `detach()` cuts part of the network off from the loss.

## What is seen
Parameters that an optimizer holds made a tensor on which `detach()` was called, and no backward
pass ever reached them, though the optimizer stepped and the loss reaches other parameters.
## Why the net does not learn
Gradients end at the cut. What lies behind it keeps its initial weights, and the rest learns to make
do with the output of a random network.
## When this is wrong
A stop-gradient on purpose leaves another way to these parameters (BYOL, GANs, actor and critic) or
they are in no optimizer (targets, teachers): both are passed over, and so are weights that the
program moves by hand (codebooks that follow an average). Weights that were loaded before training
are probably frozen by it on purpose, and are a note.
## What to try
Take the `detach()` away; or, if the part is meant to stay as it is, leave it out of the optimizer.
## Sources
PyTorch forum 93962 and 84637.
"""

from collections.abc import Iterator

from torchdx.record.model import Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, Unclear, rule
from torchdx.rules.loop.cut_off import STEPS, cut_off, listed, loaded, sibling


@rule("T02", "detached-subnetwork", silences="A09 A08")
def check(record: Record) -> Iterator[Answer]:
    """One finding a cut."""
    for found in cut_off(record, ("detach",)):
        if sibling(record, found.cut, ("numpy", "data")):
            continue
        if record.opaque or found.steps < STEPS:
            yield Unclear(record.opaque or f"only {found.steps} steps were seen")
            return
        pretrained = loaded(record, found.names)
        yield Finding(
            text=f"detach() cuts {len(found.names)} of {found.of} trained parameters off from "
            f"the loss "
            f"({listed(found.names)}): no backward pass reached them in {found.steps} steps"
            + (", so that they keep the weights that were loaded" if pretrained else ""),
            line=found.cut.line,
            place=found.names[0],
            severity="note" if pretrained else "fault",
            evidence=(
                Evidence(
                    "parameters in the optimizer that no backward pass reached", len(found.names), 0
                ),
                Evidence("steps of their optimizer", found.steps, STEPS),
            ),
            prescriptions=(
                Prescription(
                    "attach", "take the detach() away, or these parameters out of the optimizer"
                ),
            ),
        )
    yield from _without_grad(record)


def _without_grad(record: Record) -> Iterator[Finding]:
    """Parts that run with gradients off inside a forward that has them, and are to be trained."""
    for event in record.of("called-without-grad"):
        path = event.facts["model"]
        names = record.within(path) & record.trainable - record.reached
        holders = [o for o in record.optimizers.values() if names & set(o.parameters)]
        steps = max((o.steps for o in holders), default=0)
        if not names or steps < STEPS or names != record.within(path) & record.trainable:
            continue
        pretrained = loaded(record, sorted(names))
        yield Finding(
            text=f"{path} runs with gradients switched off inside the forward: no backward pass "
            f"reached its {len(names)} parameters in {steps} steps"
            + (", so that they keep the weights that were loaded" if pretrained else ""),
            line=event.line,
            place=path,
            severity="note" if pretrained else "suspicion",
            confirm="" if pretrained else f"whether {path} is to stay as it was initialised",
            evidence=(Evidence("parameters of it that a backward reached", 0, len(names)),),
            prescriptions=(
                Prescription(
                    "attach",
                    f"call {path} with gradients on, or take it out of the optimizer",
                    where=path,
                ),
            ),
        )
