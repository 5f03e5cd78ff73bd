"""unregistered-layers (A10): layers stand in a plain list or dict, where torch does not find them.

## What is seen
An attribute of a module is a Python list, tuple or dict with modules in it; gradients reach their
parameters, and no optimizer holds them.
## Why the net does not learn
`parameters()` does not list what stands in plain containers. The layers keep their first random
weights; they are not saved, not moved to another device, not set to evaluation mode.
## When this is wrong
A list that hides a fixed net on purpose (a teacher): one that no optimized layer feeds or follows,
and that makes no answer together with one before the loss, is told as a note only; so is one that
was loaded beside them. Layers that an optimizer was given by hand train, and nothing is said.
## What to try
`nn.ModuleList([...])` in place of the list, `nn.ModuleDict({...})` in place of the dict.
## Sources
Stack Overflow 52298179; `torch.nn.ModuleList`.
"""

from collections.abc import Iterator

from torchdx.graph.model import LossGraph
from torchdx.record.model import Event, Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule

CONTAINERS = {"dict": "nn.ModuleDict"}
_AGAINST = frozenset({"Sub", "Rsub"})  # what holds one answer against another


@rule("A10", "unregistered-layers", silences="O06 A08")
def check(record: Record) -> Iterator[Answer]:
    """One finding for each attribute."""
    told: set[tuple[str, str]] = set()
    empty = next((e for e in record.of("optimizer-failed") if "empty" in e.facts["text"]), None)
    for event in record.of("held-outside"):
        key = event.facts["holder"], event.facts["attribute"]
        names = set(event.facts["params"]) - record.optimized
        reached = names & record.reached
        if key in told or not (reached or (empty and names)):
            continue
        told.add(key)
        yield _finding(event, names, fixed=not empty and _apart(record, reached))


def _apart(record: Record, names: set[str]) -> bool:
    """Whether no optimized parameter stands before, behind or beside them before the loss."""
    drawn = (names & record.left_out) - record.loaded
    for graph in record.graphs.values():
        used = {node.index for name in record.optimized for node in graph.users_of(name)}
        own = {node.index for name in names for node in graph.users_of(name)}
        if used & graph.above(names) or own & graph.above(record.optimized):
            return False
        if drawn and _one_answer(graph, drawn, record.optimized):
            return False
    return True


def _one_answer(graph: LossGraph, names: set[str], optimized: set[str]) -> bool:
    """Whether a loss takes an answer made of both, so that they are not what it is held against."""
    both = graph.above(names) & graph.above(optimized)
    first = {
        index
        for index in both
        if graph.nodes[index].op not in _AGAINST
        and not any(edge is not None and edge.node in both for edge in graph.nodes[index].inputs)
    }
    given = (graph.input(head, 0) for head in graph.heads if first)
    return any(node.index in first for answer in given if answer for node in graph.below(answer))


def _finding(event: Event, names: set[str], *, fixed: bool) -> Finding:
    facts = event.facts
    container = CONTAINERS.get(facts["form"], "nn.ModuleList")
    return Finding(
        text=f"`{facts['attribute']}` of {facts['cls']} is a plain {facts['form']}: its layers' "
        f"{len(names)} parameters are not among parameters(), and no optimizer holds them",
        line=event.line,
        place=facts["holder"] or facts["cls"],
        severity="note" if fixed else "fault",
        evidence=(Evidence("parameters of these layers in an optimizer", 0, len(names)),),
        prescriptions=(
            Prescription(
                "container",
                f"make `{facts['attribute']}` an `{container}`",
                where=facts["attribute"],
                to=container,
            ),
        ),
    )
