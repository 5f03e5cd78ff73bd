"""Parameters that an optimizer holds and no loss reaches, because their values left the graph."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torchdx.record.model import Cut, Record

# Steps of the optimizer without these parameters: more than the turns that nets take.
STEPS = 10


@dataclass(frozen=True)
class CutOff:
    """`names` of the parameters behind a cut, held by an optimizer that stepped `steps` times."""

    cut: Cut
    names: tuple[str, ...]
    steps: int
    of: int


def cut_off(record: Record, operations: Sequence[str]) -> Iterator[CutOff]:
    """What is cut off by one of these operations, each parameter under the cut nearest to it.

    Only where the loss does reach other parameters: a loss that reaches none has left the graph
    itself. What the program moves by hand needs no gradient.
    """
    told = {name for event in record.of("moved-by-hand") for name in event.facts["params"]}
    for cut in record.cuts:
        if cut.op not in operations:
            continue
        for optimizer in record.optimizers.values():
            held = set(optimizer.parameters) - optimizer.frozen
            if not record.reached & record.optimized:
                continue
            names = tuple(n for n in cut.upstream if n in held - record.reached - told)
            if names:
                told.update(names)
                yield CutOff(cut, names, optimizer.steps, len(held))


def sibling(record: Record, cut: Cut, operations: Sequence[str]) -> bool:
    """Whether one of these operations ended the same values' history on the same line."""
    return any(
        other.op in operations
        and other.line == cut.line
        and set(other.upstream) & set(cut.upstream)
        for other in record.cuts
    )


def loaded(record: Record, names: Sequence[str]) -> bool:
    """Whether these parameters were given weights from elsewhere before the training."""
    return any(
        event.step == 0 and not record.within(event.facts["model"]).isdisjoint(names)
        for event in record.of("load-state-dict")
    )


def listed(names: Sequence[str]) -> str:
    """Some names, for a sentence."""
    shown = ", ".join(sorted(names)[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"  # noqa: PLR2004
