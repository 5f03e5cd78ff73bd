"""data-or-numpy-in-forward (T03): the forward, or the loss, goes on with values out of the graph.

## What is seen
Parameters that an optimizer holds made a tensor of which `.data`, `.numpy()` or `.item()` was taken
in user code, and no backward pass ever reached them, though the optimizer stepped and the loss
reaches other parameters. A single number that many parameters made is mostly taken for printing: it
counts only where the program's source leads from its `.item()` into the value on which `backward`
is called: a term of the loss that is added as a number.
## Why the net does not learn
`.data`, arrays and numbers carry values only. What is computed from them knows nothing of where
they came from: the parameters behind keep their initial values, without any error.
## When this is wrong
Values that are read for printing, clipping or averaging leave the other way to the loss open and
are passed over, and so are parameters in no optimizer and those that the program moves by hand.
Weights that were loaded before training may be frozen by it on purpose, and are a note.
## What to try
Compute with the tensor itself, by torch's functions.
## Sources
PyTorch forum 72570 and 146238; the notes on `Tensor.data` in the migration guide of PyTorch 0.4.
"""

from collections.abc import Iterator

from torchdx.record.model import Cut, Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, Unclear, rule
from torchdx.rules.loop.cut_off import STEPS, CutOff, cut_off, listed, loaded

_WORDS = {"data": ".data", "numpy": ".numpy()", "item": ".item() or .tolist()"}


@rule("T03", "data-or-numpy-in-forward", silences="A09")
def check(record: Record) -> Iterator[Answer]:
    """One finding a cut."""
    for found in cut_off(record, tuple(_WORDS)):
        if not _in_forward(found.cut) and not _in_loss(record, found.cut):
            continue
        if record.opaque or found.steps < STEPS:
            yield Unclear(record.opaque or f"only {found.steps} steps were seen")
            return
        yield _finding(found, pretrained=loaded(record, found.names))


def _in_forward(cut: Cut) -> bool:
    """A number taken of a whole loss is for printing; one of a single parameter can be a factor."""
    return cut.op != "item" or not cut.scalar or len(cut.upstream) == 1


def _in_loss(record: Record, cut: Cut) -> bool:
    """Whether a number goes into a loss, by the program's source."""
    told = (number for e in record.of("numbers-in-loss") for number in e.facts["lines"])
    return cut.line is not None and cut.line in map(record.line, told)


def _finding(found: CutOff, *, pretrained: bool) -> Finding:
    taken = _WORDS[found.cut.op]
    goes_on = "the forward goes" if _in_forward(found.cut) else "one term of the loss goes"
    return Finding(
        text=f"{goes_on} on with {taken} of a tensor, which {len(found.names)} of "
        f"{found.of} trained "
        f"parameters made ({listed(found.names)}): no backward pass reached them in "
        f"{found.steps} steps",
        line=found.cut.line,
        place=found.names[0],
        severity="note" if pretrained else "fault",
        evidence=(
            Evidence(
                "parameters in the optimizer that no backward pass reached", len(found.names), 0
            ),
            Evidence("steps of their optimizer", found.steps, STEPS),
        ),
        prescriptions=(Prescription("attach", f"compute with the tensor itself, without {taken}"),),
    )
