"""step-missing (O03): gradients are computed, and no optimizer ever uses them.

## What is seen
`backward` ran several times and left gradients that are not zero, no optimizer stepped, and every
weight looked at has the value that it had at the first backward. Or one optimizer steps and
another, made for other parameters that gradients reach, never does.
## Why the net does not learn
Backward only writes gradients. It is `optimizer.step()` that changes the weights: without it the
loss stays where it began, up to the noise of the batches.
## When this is wrong
A program that wants the gradients alone (saliency, importance of weights) and makes no optimizer;
inputs that require a gradient of their own are taken as a sign of that. Weights that the program
updates by itself, in whatever way, have changed, and nothing is said.
## What to try
Call `optimizer.step()` after each `loss.backward()`.
## Sources
Jiang et al. 2025 (TrainCheck, OSDI): "step ran, gradient not zero, parameter unchanged" as an
invariant; `torch.optim`, "Taking an optimization step".
"""

from collections.abc import Iterator

from torchdx.record.model import Event, Optimizer, Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule

BACKWARDS = 10  # without any optimizer: fewer passes may be a look at gradients (own choice)
OTHERS_STEPS = 50  # of the other optimizers, before one that waits is told (own choice)

_TEXT = "call `optimizer.step()` after `loss.backward()`"


@rule("O03", "step-missing")
def check(record: Record) -> Iterator[Answer]:
    """Nothing ever stepped, or one optimizer of several never did."""
    if record.steps:
        yield from _one_of_several(record)
        return
    still = record.of("still")
    if still and _unmoved(still[-1]):
        yield from _none_at_all(record, still[-1])


def _unmoved(event: Event) -> bool:
    facts = event.facts
    return bool(facts["of"] and facts["nonzero"] and not facts["changed"])


def _none_at_all(record: Record, event: Event) -> Iterator[Answer]:
    of, backwards = event.facts["of"], event.facts["backwards"]
    reached = [o for o in record.optimizers.values() if record.reached.intersection(o.parameters)]
    if not reached and (backwards < BACKWARDS or _wants_gradients(record)):
        return
    why = f"the {reached[0].cls} optimizer never stepped" if reached else "no optimizer was made"
    flowing = event.facts["nonzero"]
    yield Finding(
        text=f"after {backwards} backward passes none of the {of} parameters looked at has "
        f"changed, though {flowing} of them have gradients that are not zero: {why}",
        line=event.line,
        place="run",
        severity="fault" if reached else "suspicion",
        confirm="" if reached else "whether the program wants the gradients alone",
        evidence=(
            Evidence("parameters changed since the first backward", 0, of),
            Evidence("optimizer steps", 0, backwards),
        ),
        prescriptions=(Prescription("step", _TEXT),),
    )


def _wants_gradients(record: Record) -> bool:
    """Whether some input, not a weight, required a gradient."""
    return any(leaf.startswith("(tensor") for g in record.graphs.values() for leaf in g.leaves)


def _one_of_several(record: Record) -> Iterator[Answer]:
    for optimizer in record.optimizers.values():
        if optimizer.steps or not record.reached.intersection(optimizer.parameters):
            continue
        others = [o for o in record.optimizers.values() if o.steps and o.step <= optimizer.step]
        steps = max((o.step + o.steps - optimizer.step for o in others), default=0)
        if steps >= OTHERS_STEPS and not _held_elsewhere(record, optimizer):
            yield _waiting(optimizer, steps)
            return


def _held_elsewhere(record: Record, optimizer: Optimizer) -> bool:
    others = (o for o in record.optimizers.values() if o.id != optimizer.id)
    return any(set(optimizer.parameters).intersection(o.parameters) for o in others)


def _waiting(optimizer: Optimizer, steps: int) -> Finding:
    held = len(optimizer.parameters)
    return Finding(
        text=f"this {optimizer.cls} never stepped while another optimizer made {steps} steps; "
        f"gradients reach its {held} parameters, which no other optimizer holds",
        line=optimizer.line,
        place=f"optimizer {optimizer.id}",
        severity="suspicion",
        confirm="whether its parameters are to be trained later",
        evidence=(Evidence("steps of this optimizer", 0, steps),),
        prescriptions=(Prescription("step", _TEXT, where=f"optimizer {optimizer.id}"),),
    )
