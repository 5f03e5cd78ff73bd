"""The first value of a run that was not finite, as rules read it."""

import math
from dataclasses import dataclass
from typing import Any

from torchdx.graph.model import Line
from torchdx.record.model import Event, Record

# A loss this many times its first value was on its way up, and a weight this many times the largest
# at the start (or 1) was driven there: what overflows or saturates then is a symptom. A choice:
# healthy losses jump, but by less than ten times what an untrained net has.
GROWN = 10.0


@dataclass(frozen=True)
class FirstNonFinite:
    """It, and what is known of how it came about.

    where    `data`, `weights` (before any backward pass), `forward`, `backward` (the derivative of
             a known operation), `gradient` (of an unknown one), `update` (the optimizer's)
    step     optimizer steps done before it
    line     where the program ran the operation
    """

    where: str
    step: int
    line: Line | None
    facts: dict[str, Any]

    @classmethod
    def of(cls, record: Record) -> "FirstNonFinite | None":
        """That of a run; None where all that was seen is finite."""
        event: Event | None = next(iter(record.of("nonfinite")), None)
        if event is None:
            return None
        facts = dict(event.facts)
        graph = record.graphs.get(facts.get("graph", 0))
        line = event.line or (None if graph is None else graph.backward)
        return cls(facts["where"], facts["at"], line, facts)

    @property
    def op(self) -> str:
        """The operation, in torch's own name; empty where it is not known."""
        return str(self.facts.get("op") or "")

    @property
    def words(self) -> str:
        """What happened there; empty where it is not known."""
        return str(self.facts.get("words") or "")

    @property
    def losses(self) -> list[float]:
        """The last finite losses before it."""
        return [loss for _, loss in self.facts["losses"]]

    @property
    def grown(self) -> bool:
        """Whether loss or weights had grown before it: then it is the end of a longer story."""
        at_first = max(self.facts.get("first_weight") or 0.0, 1.0)
        if (self.facts.get("largest_weight") or 0.0) > GROWN * at_first:
            return True
        first, last = self.facts["first_loss"], self.losses[-1:]
        if first is None or not last:
            return False
        return bool(abs(last[0]) > GROWN * max(abs(first), math.ulp(1.0)))

    @property
    def became(self) -> str:
        """What became of the loss or the gradient, in words."""
        if self.where in {"forward", "data"} and not self.facts.get("hidden"):
            loss = self.facts["loss"]
            return f"the loss is {loss}" if loss is not None else "the loss is not finite"
        return "the gradient is not finite though the loss is"

    @property
    def when(self) -> str:
        """The step, as a person counts."""
        return "from the first step" if self.step == 0 else f"from step {self.step + 1}"
