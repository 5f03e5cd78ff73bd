"""What losses were asked for and what they answered: the facts that several families share."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from torchdx.graph.model import Line, LossGraph, Node
from torchdx.record.model import Record, Series


class Asked(NamedTuple):
    """One loss with its targets so far.

    graph, head   its structure, and the operation that computes it, None when it is none of torch's
    facts         the newest `targets` event of it
    """

    graph: LossGraph
    head: Node | None
    facts: dict[str, Any]

    @property
    def line(self) -> Line | None:
        """Where the loss is computed."""
        return (self.head.line if self.head else self.graph.root.line) or self.graph.backward

    def series(self, record: Record, signal: str) -> Series:
        """A signal of this loss."""
        return record.series(signal, str(self.graph.key))

    @property
    def spread(self) -> float:
        """The standard deviation of its targets."""
        return math.sqrt(self.facts["variance"])


def asked(record: Record) -> Iterator[Asked]:
    """Every loss whose targets were seen, in the order in which they were met."""
    newest = {event.facts["graph"]: dict(event.facts) for event in record.of("targets")}
    for key, facts in newest.items():
        graph = record.graphs.get(key)
        if graph is not None:
            yield Asked(graph, next(iter(graph.heads), None), facts)


def learned_inputs(record: Record) -> list[dict[str, Any]]:
    """The newest description of each set of inputs that models learned from."""
    return _newest(record, "inputs", "learned")


def neighbours(record: Record, role: str = "learned") -> list[dict[str, Any]]:
    """The newest comparison of labels with their neighbourhoods, of each set in a role."""
    return _newest(record, "neighbours", role)


def _newest(record: Record, kind: str, role: str) -> list[dict[str, Any]]:
    found = {
        (event.facts["model"], event.facts["set"]): {**event.facts, "line": event.line}
        for event in record.of(kind)
        if event.facts["role"] == role
    }
    return list(found.values())
