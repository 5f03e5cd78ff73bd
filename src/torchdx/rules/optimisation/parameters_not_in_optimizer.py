"""parameters-not-in-optimizer (O06): gradients reach parameters that no optimizer changes.

## What is seen
Parameters with gradients that are not zero are in no optimizer, and had the same values after some
steps as before. What speaks for an oversight: they came to the model after the optimizer was given
all of it that was to be trained, or they are the last layer before the loss and work on what the
optimizer trains.
## Why the net does not learn
These layers stay as they were drawn at random. The rest can only adapt to them.
## When this is wrong
Tuning a part on purpose without freezing the rest: only a head, adapters, a prompt, a generator
judged by a fixed net. So a note is all there is where the parameters left out come before all that
is optimised, outnumber it, or were loaded; freezing them saves their share of backward.
## What to try
Give the optimizer all parameters that are to learn (make it after the last layer is in place), or
freeze the others with `requires_grad_(False)`.
## Sources
PyTorch forum 84911; `torch.optim.Optimizer.add_param_group`.
"""

from collections.abc import Iterator
from math import prod

from torchdx.graph.model import Line, LossGraph
from torchdx.record.model import Model, Optimizer, Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, Severity, rule

MATRIX = 2  # dimensions: a layer's weights, not a scale or a temperature


@rule("O06", "parameters-not-in-optimizer")
def check(record: Record) -> Iterator[Answer]:
    """At most one finding: what speaks loudest for an oversight."""
    left = record.left_out
    shapes = {n: shape for model in record.models for n, shape in model.parameters.items()}
    optimized = record.optimized & record.reached
    if not left or not optimized:
        return
    severity, group = _weigh(record, left, optimized, shapes)
    share = _count(left, shapes) / max(1, _count(left | optimized, shapes))
    yield _finding(record, severity, group, share)


def _weigh(
    record: Record, left: set[str], optimized: set[str], shapes: dict[str, tuple[int, ...]]
) -> tuple[Severity, set[str]]:
    late = left & _late(record)
    if late:
        return "fault", late
    behind, last = _behind(record, left, optimized)
    behind -= record.loaded
    outnumbers = _count(left, shapes) > _count(optimized, shapes)
    if not behind or (outnumbers and len(_layers(behind)) > 1):
        return "note", left
    alone = len(_layers(behind)) == 1 and behind <= last
    matrix = any(len(shapes.get(name, ())) >= MATRIX for name in behind)
    return ("fault" if alone and matrix else "suspicion"), behind


def _late(record: Record) -> set[str]:
    """Parameters that came to a model after an optimizer had been given all of it."""
    found: set[str] = set()
    for model in record.models:
        given = (o for o in record.optimizers.values() if o.steps)
        if model.late and any(_holds_most(o, model) for o in given):
            found |= model.late - _brought(record, model)
    return found


def _holds_most(optimizer: Optimizer, model: Model) -> bool:
    """All that the model was to train before, or of that what it still has."""
    held = set(optimizer.parameters)
    return any(whole and whole <= held for whole in (model.before, model.trainable - model.late))


def _brought(record: Record, model: Model) -> set[str]:
    """Late parameters of modules that came with weights of their own: a fixed net, put in."""
    paths = {event.facts["model"] for event in record.of("load-state-dict")} & set(model.modules)
    own = (model.within(path) for path in paths)
    return {name for names in own if names <= model.late for name in names}


def _behind(record: Record, left: set[str], optimized: set[str]) -> tuple[set[str], set[str]]:
    """Those that work on values made by what is optimised; and those behind all of it."""
    behind: set[str] = set()
    followed: set[str] = set()
    for graph in record.graphs.values():
        here = left & set(graph.leaves)
        above = graph.above(optimized) if here else set()
        uses = (
            {node.index for name in optimized for node in graph.users_of(name)} if here else set()
        )
        for name in here:
            users = graph.users_of(name)
            if any(node.index in above for node in users):
                behind.add(name)
            if uses & (graph.above([name]) - {node.index for node in users}):
                followed.add(name)
    return behind, behind - followed


def _layers(names: set[str]) -> set[str]:
    return {name.rpartition(".")[0] for name in names}


def _count(names: set[str], shapes: dict[str, tuple[int, ...]]) -> int:
    return sum(prod(shapes.get(name, ())) for name in names)


def _finding(record: Record, severity: Severity, group: set[str], share: float) -> Finding:
    names = sorted(group)
    text = (
        f"{len(names)} parameters ({_few(names)}) get gradients, are in no optimizer, and stayed "
        "as they were"
    )
    if severity == "note":
        text += f": {share:.0%} of the gradients that backward computes are not used"
    return Finding(
        text=text,
        line=_line(record, group),
        place=names[0].rpartition(".")[0] or names[0],
        severity=severity,
        confirm="whether these layers are to stay as they are" if severity == "suspicion" else "",
        evidence=(Evidence("parameters with a gradient in no optimizer", len(names), 0),),
        prescriptions=_changes(severity, ", ".join(names)),
    )


def _changes(severity: Severity, where: str) -> tuple[Prescription, ...]:
    """To train them; where it seems meant that they are not, to freeze them comes first."""
    give = "give them to the optimizer: make it after the last layer is in place, or call its "
    give += "`add_param_group`"
    if severity != "note":
        return (Prescription("optimizer_parameters", give, where=where),)
    freeze = "if they are to stay as they are, freeze them with `requires_grad_(False)`"
    give = "if they are to learn, give them to the optimizer"
    return (
        Prescription("freeze", freeze, where=where),
        Prescription("optimizer_parameters", give, where=where),
    )


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")  # noqa: PLR2004


def _line(record: Record, group: set[str]) -> Line | None:
    """The optimizer that trains what these parameters work with: the last that stepped.

    Where they work with nothing that is trained, it is one that was given the model before them.
    """
    graphs = record.graphs.values()
    stepped = [o for o in record.optimizers.values() if o.steps]
    reaching = [o for o in stepped if any(_share(graph, o, group) for graph in graphs)]
    models = [model for model in record.models if group & set(model.parameters)]
    earlier = [o for o in stepped if any(_holds_most(o, model) for model in models)]
    return next((o.line for o in reversed(reaching or earlier)), None)


def _share(graph: LossGraph, optimizer: Optimizer, group: set[str]) -> bool:
    leaves = graph.leaves.keys()
    return bool(leaves & group and leaves & set(optimizer.parameters))
