"""restored-state-changed (T09): the weights given to another model are not those that were kept.

## What is seen
`load_state_dict` was given the live tensors of another model, from a dict that was taken before
further optimizer steps changed that model.
## Why the net does not learn
`state_dict()` hands out the live tensors. The second model gets the weights that the first has now,
not the ones of the moment when the dict was taken, such as its best epoch.
## When this is wrong
A dict that is taken just before it is loaded (target networks, teachers) is passed over, and so is
one made before training that is loaded into the same model again and again: it is meant to follow.
## What to try
Keep a copy: `best = copy.deepcopy(model.state_dict())`.
## Sources
The warning in PyTorch's tutorial "Saving and loading models": `best_model_state = deepcopy(...)`.
"""

from collections.abc import Iterator

from torchdx.record.model import Event, Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule


@rule("T09", "restored-state-changed")
def check(record: Record) -> Iterator[Answer]:
    """One finding a receiving model."""
    late = [event for event in record.of("load-state-dict") if _came_late(record, event)]
    by_model: dict[str, list[Event]] = {}
    for event in late:
        by_model.setdefault(event.facts["model"], []).append(event)
    for events in by_model.values():
        if events[0].facts["taken"] > 0 or len(events) == 1:
            yield _finding(record, events[0])


def _came_late(record: Record, event: Event) -> bool:
    facts = event.facts
    moved = bool(facts["changed"] and facts["since"])
    return moved and facts["other"] is not None and record.learns(facts["other"])


def _finding(record: Record, event: Event) -> Finding:
    facts = event.facts
    source, target = facts["other"] or "the first model", facts["model"] or "the first model"
    during = facts["taken"] > 0
    return Finding(
        text=f"{target} was loaded with the live weights of {source}, from a state dict taken "
        f"{facts['since']} "
        f"optimizer steps before without a copy: it got the weights of now, not those of then",
        line=record.line(facts["taken_line"]) or event.line,
        place=facts["model"],
        severity="fault" if during else "suspicion",
        confirm="" if during else "whether the weights of before the training were wanted",
        evidence=(Evidence("optimizer steps since the dict was taken", facts["since"], 0),),
        prescriptions=(
            Prescription(
                "copy_state", "keep copy.deepcopy(model.state_dict())", where=facts["other"]
            ),
        ),
    )
