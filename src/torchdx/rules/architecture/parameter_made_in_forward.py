"""parameter-made-in-forward (A11): a layer is made anew at every forward.

## What is seen
At several steps in a row the loss reached parameters that did not exist before, beside those of the
model; layers with parameters are made while a module's forward runs.
## Why the net does not learn
What one step would teach such a layer is thrown away with it: the next forward draws new random
weights, and no optimizer knows them. The rest of the net cannot adapt to a layer that changes.
## When this is wrong
Never for layers made inside forward after training has begun. Parameters that are new at each step
but made elsewhere (a perturbation to be optimised, a copy of the model) are passed over.
## What to try
Make the layer in `__init__` and use it in `forward`; `nn.LazyLinear` where its size is not known.
## Sources
PyTorch forum 109524; `torch.nn.LazyLinear`.
"""

from collections.abc import Iterator

from torchdx.record.model import Event, Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule

IN_A_ROW = 3  # steps: a model may grow now and then


@rule("A11", "parameter-made-in-forward", silences="O06")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the run."""
    late, made = record.of("late-parameters"), record.of("made-in-forward")
    if _in_a_row(late) and _in_a_row(made):
        yield _finding(made[0], late[-1], made[0].facts["cls"])


def _in_a_row(events: list[Event]) -> bool:
    seen = sorted({event.step for event in events})
    return any(
        seen[i + IN_A_ROW - 1] - seen[i] == IN_A_ROW - 1 for i in range(len(seen) - IN_A_ROW + 1)
    )


def _finding(made: Event, late: Event, cls: str) -> Finding:
    count = late.facts["count"]
    shapes = ", ".join("x".join(map(str, shape)) for shape in late.facts["shapes"][:3])
    return Finding(
        text=f"a {cls} is made anew in every forward: {count} of the {late.facts['of']} parameters "
        f"that the loss reaches ({shapes}) are new at each step and never learn",
        line=made.line,
        place=cls,
        evidence=(Evidence("parameters that are new at a step", count, 0),),
        prescriptions=(Prescription("construction", f"make the {cls} in `__init__`", where=cls),),
    )
