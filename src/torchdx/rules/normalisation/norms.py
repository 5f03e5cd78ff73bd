"""What the probes of modes say of batch norms: one history for each."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from torchdx.record.model import Event, Record


@dataclass
class History:
    """One batch norm through the run.

    path     its path in the record; `seen`: (probe, what was measured of it)
    """

    path: str
    cls: str
    momentum: float | None
    seen: list[tuple[Event, Mapping[str, Any]]] = field(default_factory=list)

    @property
    def per_channel(self) -> int:
        """Values from which each channel's statistics are taken: at the fullest batch seen."""
        return max(int(norm["train"]["per_channel"]) for _, norm in self.seen)


def histories(record: Record) -> Iterator[History]:
    """Every batch norm that a probe has seen at work, in the order of their calls."""
    found: dict[str, History] = {}
    for event in record.probes("modes"):
        for norm in event.facts["norms"]:
            path = joined(event.facts["model"], norm["path"])
            if path not in found:
                found[path] = History(path, norm["cls"], norm["momentum"])
            found[path].seen.append((event, norm))
    yield from found.values()


def joined(model: str, path: str) -> str:
    """The path of a part within a model, as the record has it."""
    return f"{model}.{path}" if model and path else model or path
