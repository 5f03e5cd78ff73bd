"""dead-knob (T11): an attribute was set that nothing reads.

## What is seen
`optimizer.lr` (or another setting) was given a value that the optimizer's parameter groups, where
torch reads it, never took in the steps that followed; or `transform` was set on a `Subset`, which
hands on the items of the data set that it wraps.
## Why the net does not learn
Python lets any attribute be set. The schedule, the weight decay or the transform that was meant
never comes into force, and nothing says so.
## When this is wrong
A value that the parameter groups have already, or take before the next steps end, is only noted
down twice; attributes that the program reads again may be its own. Both are passed over, and so
are classes of one's own.
## What to try
`for group in optimizer.param_groups: group["lr"] = ...`; `subset.dataset.transform = ...`, which
concerns every subset of that data set.
## Sources
`torch.optim.Optimizer.param_groups`; `torch.utils.data.Subset`, which reads `dataset` and `indices`
only.
"""

from collections.abc import Iterator

from torchdx.record.model import Event, Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule

_RATE = ("lr", "learning_rate")


@rule("T11", "dead-knob")
def check(record: Record) -> Iterator[Answer]:
    """One finding for each class and attribute."""
    read = {(event.facts["cls"], event.facts["name"]) for event in record.of("knob-read")}
    told: set[tuple[str, str]] = set()
    for event in record.of("knob"):
        key = (event.facts["cls"], event.facts["name"])
        if event.facts["name"] == "requires_grad" or key in told:
            continue
        if event.facts["cls"] == "Subset":
            dead = key not in read
        else:
            dead = _stepped_without(record, event)
        if dead:
            told.add(key)
            yield _finding(event)


def _stepped_without(record: Record, event: Event) -> bool:
    """Whether the optimizer stepped on, and never with this value."""
    facts = event.facts
    wanted, real = _number(facts["value"]), _number(facts.get("real"))
    if record.steps <= event.step or real is None or wanted == real:
        return False
    if facts["name"] not in _RATE:
        return True
    rates = [rate for o in record.optimizers.values() for at, rate in o.lrs if at >= event.step]
    return wanted not in rates


def _number(text: str | None) -> float | str | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return text


def _finding(event: Event) -> Finding:
    facts = event.facts
    cls, name, value = facts["cls"], facts["name"], facts["value"]
    if cls == "Subset":
        text = (
            f"{name} was set on a Subset, which never looks at it: "
            "the items come as the data set inside makes them"
        )
        change = f"set {name} on the innermost data set (subset.dataset.{name}), or wrap the subset"
        evidence = Evidence("what a Subset reads", "dataset, indices", name)
    else:
        text = (
            f"{name} = {value} was set on the {cls} object itself, which never looks at it: "
            f"its parameter groups still have {facts['real']}"
        )
        key = "lr" if name in _RATE else name
        change = (
            f'set it in the groups: for group in optimizer.param_groups: group["{key}"] = {value}'
        )
        evidence = Evidence(f"{key} in the parameter groups", facts["real"], value)
    return Finding(
        text=text,
        line=event.line,
        place=cls,
        evidence=(evidence,),
        prescriptions=(Prescription("live_knob", change, where=name, to=value),),
    )
