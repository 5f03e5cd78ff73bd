"""unused-module (A09): a part of the model computes something, and no loss depends on it.

## What is seen
No backward of the run reached any parameter of the module, though an optimizer that stepped holds
them, and the module was called with gradients on. Its output is dropped or overwritten on the way.
## Why the net does not learn
The part keeps its first random weights; the net is smaller than it is written.
## When this is wrong
Parts that are trained only later, or whose output only validation reads: where the model returns
what the part makes, it is a suspicion only. A part that is never
called (an expert that no row chose, a layer left over) is told as a note, after many passes; so is
one inside a model of a library (a pooler that the task does not need).
## What to try
Use the output in `forward` where it was meant to go, or take the module out.
## Sources
PyTorch forum 69090; `torch.nn.parallel.DistributedDataParallel`, `find_unused_parameters`.
"""

from collections.abc import Iterator

from torchdx.record.model import Model, Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, Severity, Unclear, rule

STEPS = 3  # of its optimizer: a head whose turn comes later, a layer dropped by chance
RARELY = 100  # passes before a module that is never called is worth a note (own choice)


@rule("A09", "unused-module")
def check(record: Record) -> Iterator[Answer]:
    """One finding for each topmost module that no loss uses."""
    unused = [(m, path, names) for m in record.models for path, names in _unused(record, m)]
    if unused and record.opaque:
        yield Unclear(because=record.opaque)
        return
    for model, path, names in unused:
        finding = _finding(record, model, path, names)
        if finding is not None:
            yield finding


def _unused(record: Record, model: Model) -> Iterator[tuple[str, set[str]]]:
    """The topmost modules of which nothing was reached, in a model of which something was."""
    if not record.reached.intersection(model.parameters):
        return
    upstream_of_cut = {name for cut in record.cuts for name in cut.upstream}
    for event in record.of("called-without-grad"):
        upstream_of_cut |= record.within(event.facts["model"])
    stepped = {n for o in record.optimizers.values() if o.steps >= STEPS for n in o.parameters}
    told: list[str] = []
    for path in sorted(model.modules, key=lambda path: path.count(".")):
        names = model.within(path)
        inside = any(path.startswith(other + ".") for other in told)
        if inside or not names or names & (record.reached | upstream_of_cut):
            continue
        if names <= model.trainable & stepped and not any(n.startswith("(") for n in names):
            told.append(path)
            yield path, names


def _finding(record: Record, model: Model, path: str, names: set[str]) -> Finding | None:
    called = any(c == path or c.startswith(path + ".") for c in record.called)
    holder = path.rpartition(".")[0]
    wired_by_user = holder in model.user
    if not called and record.backwards < RARELY:
        return None
    cls, count = model.modules[path], len(names)
    returned = bool(names & record.returned)
    severity: Severity = "suspicion" if returned else "fault"
    did = "ran, but no loss depends on its output" if called else "was never called"
    return Finding(
        text=f"{path} ({cls}, {count} parameters) {did}: none of {record.backwards} backward "
        "passes reached it",
        line=model.lines.get(path),
        place=path,
        severity=severity if called and wired_by_user else "note",
        confirm="whether its output is to be trained later" if returned else "",
        evidence=(Evidence("parameters of it that a backward reached", 0, count),),
        prescriptions=(
            Prescription("wiring", f"use the output of {path}, or take it out", where=path),
        ),
    )
