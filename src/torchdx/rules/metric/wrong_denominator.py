"""wrong-denominator (M02): right answers are divided by something that is not the rows judged.

## What is seen
At the end of a validation torchdx knows how many rows were judged and how many were answered
rightly. A division in the running function, or in a class of its objects, has exactly that count of
right answers above, and below it a number that is not the rows: the number of batches, batches
times the batch size although the last batch is smaller, the rows of another set.
## Why the net does not learn
It does. The accuracy that is told is too high or too low by a constant factor: 8260 %, or 92 %
where 98 % were right. Runs with another batch size cannot be compared.
## When this is wrong
Where the number of right answers a batch is wanted as such. A count that includes rows which the
validation left out on purpose (sequences that were too long, say) reads the same.
## What to try
Count the rows as they come (`rows += len(y)`) and divide by that, or by `len(loader.dataset)`
where every row of the data set is judged.
## Sources
Stack Overflow 54636288.
"""

import math
from collections.abc import Iterator

from torchdx.record.model import Event, Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule


@rule("M02", "wrong-denominator")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the first division that was wrong in every validation looked at."""
    by_line: dict[str, list[Event]] = {}
    for event in record.of("tally"):
        by_line.setdefault(str(event.line), []).append(event)
    for events in by_line.values():
        if all(not _same(e.facts["denominator"], e.facts["rows"]) for e in events):
            yield _finding(events[-1])
            return


def _same(one: float, two: float) -> bool:
    return math.isclose(one, two, rel_tol=1e-6)  # whole numbers, after products of floats


def _finding(tally: Event) -> Finding:
    facts = tally.facts
    right, rows, below = facts["right"], facts["rows"], facts["denominator"]
    return Finding(
        text=f"`{facts['text']}` divides the {right:.0f} right answers by {below:g}, "
        f"{_name(tally)}; {rows} rows were judged: the accuracy is {right / rows:.4f}, "
        f"not {right / below:.4f}",
        line=tally.line,
        evidence=(
            Evidence("denominator of the right answers", below, rows),
            Evidence("accuracy as told", right / below, right / rows),
        ),
        prescriptions=(
            Prescription("denominator", "count the rows as they come and divide by them"),
        ),
    )


def _name(tally: Event) -> str:
    """What the denominator is, as far as it is known."""
    facts = tally.facts
    below, batches, batch = facts["denominator"], facts["batches"], facts["batch"]
    if _same(below, batches):
        return "the number of batches"
    if _same(below, batches * batch):
        return f"{batches} batches of {batch}, though the last had {facts['last']}"
    return "the rows of the last batch" if _same(below, facts["last"]) else "something else"
