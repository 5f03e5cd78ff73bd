"""accumulation-not-divided (O14): gradients of several batches are added, not averaged.

## What is seen
Between two steps of the optimizer, `backward` runs k times from the same line on loss graphs of the
same structure, each with a batch of its own; the loss is a mean, and nothing divides it.
## Why the net does not learn
The gradient is the sum of k means: k times that of one large batch. For plain gradient descent that
is a learning rate k times as large as the one written down, enough to leave the stable range.
## When this is wrong
A rate chosen for the sum. Optimizers that divide by the gradient's own size (Adam and its kin), and
gradients that are clipped or divided by hand before the step, hardly feel it: then it is a note,
or nothing.
## What to try
`(loss / k).backward()`.
## Sources
karpathy/nanoGPT#206; PyTorch forum 38229; Kingma & Ba 2015, section 2.1 (why Adam does
not feel it).
"""

from collections import Counter
from collections.abc import Iterator

from torchdx.graph.model import LossGraph
from torchdx.record.model import Optimizer, Record, StepShape
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, Unclear, rule
from torchdx.rules.series import early

STEPS = 3  # of this shape: a shorter last group, or a retry, says nothing
SUM = 2  # torch's number for reduction='sum': then adding batches is what it means
OTHERWISE = frozenset({"grad", "unscale", "scaled-step"})  # steps that are more than k backwards


@rule("O14", "accumulation-not-divided", silences="O01 O17 A02")
def check(record: Record) -> Iterator[Answer]:
    """Judge the commonest order of events of each optimizer."""
    for optimizer in record.optimizers.values():
        shapes = record.shapes_of(optimizer.id)
        if not shapes or shapes[0][1] < STEPS:
            continue
        shape = shapes[0][0]
        k = _repeats(shape)
        if k < 2 or not _undivided(record, shape):  # noqa: PLR2004  # two are several
            continue
        if any(look.edited for look in record.looks_of(optimizer.id)) and not shape.count("clip"):
            continue
        loaders = Counter(about for kind, _, about in shape.events if kind == "data")
        batches = max(loaders.values(), default=0)
        if batches and batches < k and _pieces(record, shape, k):
            yield _finding(optimizer, shape, k)
        elif batches == 0:
            if not optimizer.scale_free:
                yield Unclear(
                    because="no data loader shows whether each backward had its own batch"
                )
        elif batches >= k:
            yield _finding(optimizer, shape, k)


def _pieces(record: Record, shape: StepShape, k: int) -> bool:
    """Whether each backward pass had a piece of the loader's batch: as many rows as k make up."""
    graph = next(about for kind, _, about in shape.events if kind == "backward")
    rows = early(record.series("batch.rows", str(graph)))
    size = max((phase.size for phase in record.phases if phase.steps), default=0)
    return rows is not None and rows > 0 and (k - 1) * rows < size <= k * rows


def _repeats(shape: StepShape) -> int:
    """How many backward passes there are, when all are alike."""
    alike = {(str(line), graph) for kind, line, graph in shape.events if kind == "backward"}
    kinds = [kind for kind, _, _ in shape.events]
    if len(alike) != 1 or OTHERWISE.intersection(kinds):
        return 0
    first, last = kinds.index("backward"), len(kinds) - kinds[::-1].index("backward")
    return 0 if "zero" in kinds[first:last] else kinds.count("backward")


def _undivided(record: Record, shape: StepShape) -> bool:
    key = next(about for kind, _, about in shape.events if kind == "backward")
    graph = record.graphs.get(key)
    return graph is not None and not graph.opaque and _is_plain_mean(graph)


def _is_plain_mean(graph: LossGraph) -> bool:
    """Whether the root is the mean over a batch as it is, with no factor behind it."""
    heads = graph.heads
    if not heads:
        return graph.root.op == "Mean"
    return all(h.saved.get("reduction") != SUM and graph.scale(h) == 1 for h in heads)


def _finding(optimizer: Optimizer, shape: StepShape, k: int) -> Finding:
    line = next(line for kind, line, _ in shape.events if kind == "backward")
    bound = "scale-free" if optimizer.scale_free else "clipped" if shape.count("clip") else ""
    effect = {
        "scale-free": f"{optimizer.cls} divides by the gradient's size and hardly feels it",
        "clipped": "clipping bounds what comes of it",
        "": f"the rate acts as if it were {k} times as large",
    }[bound]
    return Finding(
        text=f"each step adds the gradients of {k} batches whose mean losses are not divided by "
        f"{k}: {effect}",
        line=line,
        place="loss",
        severity="note" if bound else "suspicion",
        confirm="" if bound else "whether the learning rate was chosen for the sum",
        evidence=(Evidence("factor on each of the batches' losses", 1.0, round(1 / k, 4)),),
        prescriptions=(
            Prescription("loss_scale", f"`(loss / {k}).backward()`", where="loss", to=f"1/{k}"),
        ),
    )
