"""How a loss may have left the graph: what the rules about lost losses ask of a record.

A *lost* root is a loss on which `backward` is called and from which no path leads to a parameter.
"""

from collections.abc import Iterator
from typing import NamedTuple

from torchdx.graph.model import LEAF, Line
from torchdx.record.model import Cut, Event, Record

TAKEN_OUT = frozenset(["item", "numpy", "data", "detach"])  # cuts that end a history on request
DERIVATIVE_FREE = frozenset(["argmax", "compare", "cast"])  # cuts by what has no derivative


class Lost(NamedTuple):
    """A lost root, and the cuts that had been seen when it was met."""

    event: Event
    cuts: tuple[Cut, ...]

    def marks(self, record: Record, key: str, *kinds: str) -> list[Line | None]:
        """The lines of the source's calls under `key` that are of some kinds."""
        marks = self.event.facts.get(key, ())
        return [record.lines.get(line) for kind, line in marks if kind in kinds]


def lost_roots(record: Record) -> Iterator[Lost]:
    """Every lost root. A program that trains bare tensors has none that is held against it."""
    for event in [*record.of("bare-root"), *record.of("no-parameters")]:
        before = event.facts.get("before", 0)
        graph = record.graphs.get(event.facts.get("graph", 0))
        trains = graph is not None and not record.optimized.isdisjoint(graph.leaves)
        if not event.facts.get("parameter") and not trains:
            yield Lost(event, tuple(record.cuts[:before]))


def is_bare(lost: Lost) -> bool:
    """Whether the root has no history at all."""
    return lost.event.kind == "bare-root"


def hangs_on_numbers(record: Record, lost: Lost) -> bool:
    """Whether the root is a bare scalar, or made from bare scalars only."""
    if is_bare(lost):
        return True
    graph = record.graphs.get(lost.event.facts["graph"])
    leaves = [] if graph is None else [node for node in graph.nodes if node.op == LEAF]
    return bool(leaves) and all(node.shape in {(), (1,)} for node in leaves)


def unreached(record: Record, cut: Cut) -> set[str]:
    """The parameters behind a cut that no backward pass has reached."""
    return set(cut.upstream) - record.reached


def left_as_scalar(record: Record, lost: Lost) -> list[Cut]:
    """Scalars taken out of the graph before the root was met, with parameters that got nothing."""
    return [
        cut
        for cut in lost.cuts
        if cut.scalar and cut.op in TAKEN_OUT and unreached(record, cut) and cut.line is not None
    ]


def remade(record: Record, lost: Lost) -> Line | None:
    """Where the loss itself was made anew or left the graph as a scalar, if it was."""
    if not hangs_on_numbers(record, lost):
        return None
    scalars = left_as_scalar(record, lost)
    made = [line for line in lost.marks(record, "made", "remake") if line is not None]
    if made and (scalars or (is_bare(lost) and not record.reached)):
        return made[0]
    return scalars[-1].line if scalars else None


def taken_out_inside(cuts: tuple[Cut, ...], names: set[str]) -> bool:
    """Whether an inner tensor that hangs on any of these parameters was taken out on request."""
    return any(c.op in TAKEN_OUT and not c.scalar and names & set(c.upstream) for c in cuts)
