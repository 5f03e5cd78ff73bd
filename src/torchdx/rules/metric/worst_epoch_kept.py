"""worst-epoch-kept (M04): the weights that are restored are those of the worst epoch.

## What is seen
The weights of some epochs were kept, one state was loaded at the end, and it came from the epoch
that had the lowest accuracy of all validations on the same data, and a loss higher than most of
them; others were clearly better. Accuracy and loss are measured by torchdx, from answers and
labels.
## Why the net does not learn
It did, and what it learnt is thrown away: the comparison that picks the best epoch has the wrong
sign, or begins with an infinity that no accuracy exceeds.
## When this is wrong
Picking by something else than accuracy and loss on this data; another validation in the same run
by which the kept epoch is not the worst speaks for that and is respected. Rewinding to early
weights to train on from them is passed over.
## What to try
Keep the epoch with the higher accuracy (start from 0 or minus infinity), or the lower loss (start
from infinity).
## Sources
Observed in programs that were changed from picking by loss to picking by accuracy.
"""

import math
from collections.abc import Iterator
from statistics import median

from torchdx.record.model import Event, Phase, Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule

PHASES = 3  # validations that must have been measured
ERRORS = 3  # standard errors of a difference of two shares that count as clear


@rule("M04", "worst-epoch-kept")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the first load of the worst."""
    loads = record.of("load-state-dict")
    for number, load in enumerate(loads):
        if not _of_own_past(record, load) or not _judged_next(record, load):
            continue
        before = [e.facts["at"] for e in loads[:number] if e.facts["model"] == load.facts["model"]]
        since = max(before, default=0)
        groups = _validations(record, load, since)
        snapshots = [
            event
            for event in record.of("state-dict")
            if event.facts["model"] == load.facts["model"]
            and since < event.facts["at"] <= load.facts["at"]
        ]
        found = [_worst(group, snapshots) for group in groups]
        if found and all(found):
            group, kept = groups[0], found[0]
            yield _finding(group, kept, snapshots[-1])  # type: ignore[arg-type]
            return


def _of_own_past(record: Record, load: Event) -> bool:
    """Whether a kept state of the model itself was loaded, and still was what it had been."""
    facts = load.facts
    kept = facts["at"] > 0 and facts["other"] is None and not facts["aliased"]
    return kept and record.learns(facts["model"])


def _judged_next(record: Record, load: Event) -> bool:
    """Whether the restored weights were used: no training goes on from them before a validation."""
    at, model = load.facts["at"], load.facts["model"]
    if at == record.backwards:
        return True
    return len([p for p in record.phases if p.validation and (p.at, p.model) == (at, model)]) > 1


def _validations(record: Record, load: Event, since: int) -> list[list[Phase]]:
    """The measured validations of the model, by the data that they were made on."""
    groups: dict[object, dict[int, Phase]] = {}
    for phase in record.phases:
        measured = phase.validation and phase.accuracy is not None and phase.loss is not None
        if measured and phase.model == load.facts["model"] and since < phase.at <= load.facts["at"]:
            same = groups.setdefault((phase.loader, phase.rows, phase.line), {})
            same.setdefault(phase.at, phase)
    return [list(group.values()) for group in groups.values() if len(group) >= PHASES]


def _worst(group: list[Phase], snapshots: list[Event]) -> Phase | None:
    """The phase whose weights were kept, if no measure speaks for it."""
    taken = {event.facts["at"] for event in snapshots}
    kept = next((p for p in group if snapshots and p.at == snapshots[-1].facts["at"]), None)
    if kept is None or all(phase.at in taken for phase in group):
        return None
    best = max(_accuracy(phase) for phase in group)
    clear = ERRORS * math.sqrt(0.5 / max(1, kept.rows))
    lowest = all(_accuracy(kept) <= _accuracy(phase) for phase in group)
    dearer = (kept.loss or 0.0) > median(phase.loss or 0.0 for phase in group)
    return kept if lowest and dearer and best - _accuracy(kept) > clear else None


def _accuracy(phase: Phase) -> float:
    return phase.accuracy or 0.0


def _finding(group: list[Phase], kept: Phase, snapshot: Event) -> Finding:
    best = max(group, key=_accuracy)
    number = 1 + group.index(kept)
    return Finding(
        text=f"the weights that were restored are those of validation {number} of "
        f"{len(group)}, the least accurate of all: "
        f"accuracy {_accuracy(kept):.3f} and loss {kept.loss:.3f}, where the best had "
        f"{_accuracy(best):.3f} "
        f"and {best.loss:.3f}",
        line=snapshot.line,
        place=kept.model,
        evidence=(
            Evidence("accuracy of the kept epoch", _accuracy(kept), _accuracy(best)),
            Evidence("loss of the kept epoch", kept.loss or 0.0, best.loss),
        ),
        prescriptions=(
            Prescription(
                "keep_best",
                "keep the epoch with the higher accuracy, starting from 0",
                where=kept.model,
            ),
        ),
    )
