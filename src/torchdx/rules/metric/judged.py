"""How the program judges answers: what the metric rules read in common."""

from typing import Any

from torchdx.record.model import Event, Record


def uses(record: Record, operation: str) -> list[Event]:
    """What was done to answers by one operation, in order."""
    return [event for event in record.of("answer-used") if event.facts["op"] == operation]


def counted(record: Record, use: Event) -> list[Event]:
    """The comparisons with labels of what was made at the line of another use."""
    line = use.line
    return [
        event
        for event in uses(record, "equal")
        if event.facts["model"] == use.facts["model"]
        and line is not None
        and event.facts["made"] is not None
        and record.line(event.facts["made"]) == line
    ]


def asked_of(record: Record, use: Event) -> dict[str, Any] | None:
    """What the loss asks of the model whose answer was used; None where it is not the only one."""
    graphs = {
        event.facts["set"]
        for event in record.of("inputs")
        if event.facts["role"] == "learned" and event.facts["model"] == use.facts["model"]
    }
    newest = {e.facts["graph"]: dict(e.facts) for e in record.of("targets")}
    known = [newest[graph] for graph in graphs if graph in newest]
    alike = {(facts["loss"], facts["op"], facts["classes"]) for facts in known}
    return known[-1] if len(alike) == 1 else None
