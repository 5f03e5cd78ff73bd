"""What is known of the rows that models are judged on: shared by the rules beside it."""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from torchdx.graph.model import Line
from torchdx.record.model import Json, Phase, Record

# Of the rows that would come again if no epoch altered them, the part below which they count as
# made anew each time. Programs that augment: 0.00 to 0.05; programs that do not: above 0.9.
FRESH = 0.3
_TOLD = 20  # such rows below which nothing is said
_QUARTER = 4  # of the steps since the validation before: how far back the training loss is taken


@dataclass(frozen=True)
class Judged:
    """One set of rows that a model is judged on, held against those that it learned from.

    facts  of the newest `overlap` event
    """

    record: Record
    facts: Json
    line: Line | None

    @property
    def model(self) -> str:
        """Path of the model."""
        return str(self.facts["model"])

    @property
    def passes(self) -> list[Phase]:
        """The validation passes over these rows, in order."""
        number = self.facts["set"]
        return [p for p in self.record.phases if p.validation and self._own(p, number)]

    def _own(self, phase: Phase, number: int) -> bool:
        return phase.loader == number if number > 0 else phase.line == self.line

    @property
    def fresh(self) -> bool | None:
        """Whether the learned rows are made anew in each epoch; None where that cannot be told."""
        repeated, expected = self.facts.get("repeated"), self.facts.get("expected")
        if repeated is None or expected is None or expected < _TOLD:
            return None
        return bool(repeated <= FRESH * expected)

    @property
    def losses(self) -> list[tuple[float, float]]:
        """Of each pass: the loss on these rows, and the loss learned from shortly before it."""
        found, before = [], 0
        for phase in self.passes:
            since = phase.step - max(1, (phase.step - before) // _QUARTER)
            learned = [loss for step, loss in self.record.losses if since < step <= phase.step]
            before = phase.step
            if phase.loss is not None and learned:
                found.append((phase.loss, fmean(learned)))
        return found

    @property
    def comparable(self) -> bool:
        """Whether both losses are of one kind: the mean cross-entropy, or the mean square."""
        kinds = {
            e.facts["loss"]
            for e in self.record.of("inputs")
            if e.facts["role"] == "learned" and e.facts["model"] == self.model
        }
        return len(kinds) == 1 and kinds <= {"classes", "values"}


def judged(record: Record, until: float = float("inf")) -> Iterator[Judged]:
    """Every judged set, as it was known after at most `until` optimizer steps."""
    newest: dict[Any, Judged] = {}
    for event in record.of("overlap"):
        if event.step <= until:
            key = event.facts["model"], event.facts["set"]
            newest[key] = Judged(record, event.facts, event.line)
    yield from newest.values()
