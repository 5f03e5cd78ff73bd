"""batch-norm-tiny-batch (N01): batch norm takes its mean and variance from two to four values.

## What is seen
The values from which each channel of a batch norm takes its statistics in training: rows, times
places for images and sequences. In every batch that was looked at there were four or fewer.
## Why the net does not learn
Of two values the larger becomes +1 and the smaller -1, whatever they are: the layer passes on which
of two rows has more, and nothing else. Of four, the variance is known to within a factor of about
two, so that the answer for a row is mostly about the rows that happen to stand beside it. In
evaluation, running statistics take their place, and the net is another one.
## When this is wrong
Never for two values. For three or four, nets with few normed layers may get along. The last, short
batch of an epoch alone does not count, and gradient accumulation does not help: each small batch is
normalised by itself.
## What to try
Batches of 16 or more (leave accumulation out, or norm otherwise): `nn.GroupNorm`, `nn.LayerNorm`;
or `drop_last=True` where only the last batch is short.
## Sources
Stack Overflow 48320854, 59648509; Wu & He 2018 (group normalisation), figure 1: error against batch
size; relative standard error of a variance from m values: sqrt(2 / (m - 1)); docs/limits.md, N01.
"""

import math
from collections.abc import Iterator

from torchdx.graph.model import LossGraph
from torchdx.record.model import Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule
from torchdx.rules.normalisation.norms import History, histories

SIGNS = 2  # values that become +1 and -1: a fact
FEW = 4  # values whose variance has a standard error of 80%; docs/limits.md, N01
LOOKS = 2  # one batch alone may be the short one at the end

STEPS = 5  # a trial of a few steps on a handful of rows is no training (own choice)


@rule("N01", "batch-norm-tiny-batch")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the batch norm with the fewest values."""
    if record.steps < STEPS:
        return
    graphs = [n for graph in record.graphs.values() for n in _of_graph(graph)]
    tiny = []
    for norm in histories(record):
        looks = [event.step for event, _ in norm.seen]
        if norm.per_channel <= FEW and (len(looks) >= LOOKS or (graphs and max(graphs) <= FEW)):
            tiny.append(norm)
    if tiny:
        yield _finding(record, min(tiny, key=lambda norm: norm.per_channel), len(tiny))


def _of_graph(graph: LossGraph) -> Iterator[int]:
    """Values per channel of the batch norms in a loss graph."""
    for node in graph.nodes:
        if "BatchNorm" in node.op and node.shape and len(node.shape) > 1 and node.shape[1]:
            yield math.prod(node.shape) // node.shape[1]


def _finding(record: Record, norm: History, count: int) -> Finding:
    values = norm.per_channel
    rows = max(int(event.facts["rows"]) for event, _ in norm.seen)
    certain = values <= SIGNS
    error = math.sqrt(2 / (values - 1)) if values > 1 else math.inf
    what = (
        "they become +1 and -1, whatever they are"
        if certain
        else f"their variance is known to within {error:.0%}"
    )
    return Finding(
        text=f"{norm.path or norm.cls} normalises each channel over {values} values, those of a "
        f"batch of {rows} rows: {what}" + (f"; {count} batch norms do" if count > 1 else ""),
        line=record.made(norm.path) or norm.seen[-1][0].line,
        place=norm.path,
        severity="fault" if certain else "suspicion",
        confirm="" if certain else "the same training with batches of 32, or with GroupNorm",
        evidence=(
            Evidence("values per channel", values, FEW),
            Evidence("standard error of their variance, relative", round(error, 2)),
        ),
        prescriptions=(
            Prescription("batch_size", "give it batches of 16 rows or more", to="x8"),
            Prescription("norm", "use nn.GroupNorm or nn.LayerNorm in its place", where=norm.path),
        ),
    )
