"""frozen-attribute-on-module (O08): `requires_grad` was set on a module, where nothing reads it.

## What is seen
The program assigned `module.requires_grad = False`. That makes a plain attribute of the module; its
parameters still required a gradient then, still did when they were last seen, and an optimizer
that holds them stepped afterwards. The same the other way round for `True` on frozen parameters.
## Why the net does not learn
The layers that were to stay as they are go on training. With few rows and a fresh head they lose
what they had learnt before; a finding about the frozen net is one about another net.
## When this is wrong
A class that keeps a switch of its own under this name and acts on it. Layers that no optimizer
holds do not change: that is only told as a note.
## What to try
`module.requires_grad_(False)`, with the underscore, or set it on every parameter.
## Sources
`torch.nn.Module.requires_grad_`; pytorch/pytorch issues on "freeze" that does not freeze.
"""

from collections.abc import Iterator

from torchdx.record.model import Event, Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule


@rule("O08", "frozen-attribute-on-module")
def check(record: Record) -> Iterator[Answer]:
    """What was last said of each parameter, against what it is."""
    events = [e for e in record.of("knob") if e.facts["name"] == "requires_grad"]
    meant: dict[str, tuple[str, Event]] = {}
    for event in events:
        for name in event.facts["params"]:
            meant[name] = (event.facts["value"], event)
    last_seen = {name for model in record.models for name in model.parameters}
    training = {n for n, (v, _) in meant.items() if v == "False" and n in record.trainable}
    frozen = {n for n, (v, _) in meant.items() if v == "True" and n in last_seen} - record.trainable
    if training:
        yield _finding(record, training, meant)
    elif frozen:
        yield _finding(record, frozen, meant)


def _finding(record: Record, wrong: set[str], meant: dict[str, tuple[str, Event]]) -> Finding:
    names = sorted(wrong)
    first = min((meant[name][1] for name in names), key=record.events.index)
    value = meant[names[0]][0]
    held = wrong & _stepped_after(record, first.step)
    kept = "still require a gradient" if value == "False" else "are still frozen"
    effect = f", and an optimizer changes {len(held)} of them" if held and value == "False" else ""
    return Finding(
        text=f"`requires_grad = {value}` on a module ({first.facts['cls']}) sets an attribute that "
        f"nothing reads: {len(wrong)} parameters ({_few(names)}) {kept}{effect}",
        line=first.line,
        place=first.facts["model"] or first.facts["cls"],
        severity="fault" if held else "note",
        evidence=(
            Evidence(f"parameters that {kept}", len(wrong), 0),
            Evidence("of these, in an optimizer that stepped afterwards", len(held), 0),
        ),
        prescriptions=(
            Prescription(
                "requires_grad",
                f"write `requires_grad_({value})`, with the underscore",
                where=first.facts["model"],
                to=value,
            ),
        ),
    )


def _stepped_after(record: Record, step: int) -> set[str]:
    """Parameters of the optimizers that were made, or went on, after this many steps."""
    late = (o for o in record.optimizers.values() if o.steps and o.step + o.steps > step)
    return {name for optimizer in late for name in optimizer.parameters}


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")  # noqa: PLR2004
