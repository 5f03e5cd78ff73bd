"""aliased-checkpoint (T08): a state dict was kept without copying it, and changed with the model.

## What is seen
`load_state_dict` was given tensors that are all the model's own, from a dict that was taken before
further optimizer steps changed them; or such a dict, taken during training, was saved later.
## Why the net does not learn
`state_dict()` hands out the live tensors. A "best" state that is kept so is at each moment the
present one: loading it changes nothing, and what is tested or saved is the last state.
## When this is wrong
Loading a dict that was taken just now, and weights that no optimizer changed, are passed over. A
dict that was made once before training and saved again and again is passed over too: the present
weights are what it is for.
## What to try
Keep a copy: `best = copy.deepcopy(model.state_dict())`.
## Sources
The warning in PyTorch's tutorial "Saving and loading models": `best_model_state = deepcopy(...)`.
"""

from collections.abc import Iterator

from torchdx.record.model import Event, Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule


@rule("T08", "aliased-checkpoint")
def check(record: Record) -> Iterator[Answer]:
    """One finding, for a load before a save."""
    loads = [event for event in record.of("load-state-dict") if _of_itself(record, event)]
    if loads:
        yield _of_load(record, loads)
        return
    saves = [event for event in record.of("save") if _kept(record, event, event.facts["other"])]
    if saves and saves[0].facts["taken"] > 0:
        yield _of_save(record, saves)


def _of_itself(record: Record, event: Event) -> bool:
    facts = event.facts
    whole = facts["tensors"] > 0 and facts["aliased"] == facts["tensors"]
    return whole and _kept(record, event, facts["model"])


def _kept(record: Record, event: Event, model: str | None) -> bool:
    """Whether the dict is older than steps that changed the model."""
    facts = event.facts
    return bool(facts["changed"] and facts["since"]) and model is not None and record.learns(model)


def _of_load(record: Record, loads: list[Event]) -> Finding:
    first = loads[0]
    facts = first.facts
    again = f" (and so at {len(loads) - 1} more)" if len(loads) > 1 else ""
    return Finding(
        text=f"load_state_dict changed nothing{again}: the dict was taken {facts['since']} "
        f"optimizer steps "
        f"before without a copy, and all of its {facts['tensors']} tensors are the model's own",
        line=record.line(facts["taken_line"]) or first.line,
        place=facts["model"],
        evidence=(
            Evidence("tensors of the dict that are the model's own", facts["aliased"], 0),
            Evidence("optimizer steps since it was taken", facts["since"], 0),
        ),
        prescriptions=(_prescription(facts["model"]),),
    )


def _of_save(record: Record, saves: list[Event]) -> Finding:
    first = saves[0]
    facts = first.facts
    return Finding(
        text=f"the state dict that was saved had been taken {facts['since']} optimizer steps "
        f"before without a "
        f"copy: the file holds the weights of now, not those that were kept",
        line=record.line(facts["taken_line"]) or first.line,
        place=facts["other"] or "",
        evidence=(Evidence("optimizer steps since it was taken", facts["since"], 0),),
        prescriptions=(_prescription(facts["other"] or ""),),
    )


def _prescription(model: str) -> Prescription:
    return Prescription("copy_state", "keep copy.deepcopy(model.state_dict())", where=model)
