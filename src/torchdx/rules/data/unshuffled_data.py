"""unshuffled-data (D08): rows come in an order that has to do with their labels.

## What is seen
Batch after batch holds far fewer different labels than so many rows drawn at random would; the
labels over all batches are as various as can be. For a single number as target: its deviation
within batches is far below that over all.
## Why the net does not learn
Each step pulls towards the one class at hand and away from all others, and the next ones take it
back: the loss swings with the order of the data, what was learned first is forgotten, and batch
norm sees statistics of one class at a time.
## When this is wrong
Samplers that put equal numbers of chosen classes into each batch do so on purpose, and are known by
it. So are the real and the made batches of a discriminator: two labels are judged only where each
step takes one batch.
## What to try
`DataLoader(..., shuffle=True)`, or a new permutation of all rows each epoch; shuffling whole
batches is not enough. A stream that cannot be shuffled can go through a buffer.
## Sources
Stack Overflow 56103207; Bengio 2012, "Practical recommendations", section 3 on shuffling;
PySIAssist (SANER 2024), pattern 6.
"""

import math
import random
from collections.abc import Iterator
from statistics import fmean, median

from torchdx.record.model import Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule
from torchdx.rules.data.learned_rows import Learned, learned
from torchdx.rules.series import fallen

# Entropy of a batch's labels over that of as many rows drawn at random. Sick: 0.01 and 0.04.
# Healthy: 0.96 to 1.11 in 223 tables; 0 in the two halves of a discriminator's batches.
FEW = 0.6
# Deviation of numbers within batches over that of all. Healthy: 0.88 to 0.99 in 28 tables; 0.42 and
# 0.64 with the values of Q-learning, which change by themselves. No sick program was seen.
NARROW = 0.4
BATCHES = 12  # a few batches of one kind are chance
ROWS = 4
DRAWS = 200
ENTROPY = 0.2  # nats that a batch at random must have: of one rare label there is nothing to see
_EVEN = 0.02  # how close to the logarithm of a whole number a planned batch's entropy lies
_TWO = 2


@rule("D08", "unshuffled-data", silences="O17 O01 P04 A13 N02")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the first loss whose batches are of a kind."""
    for table in learned(record):
        finding = _classes(table) if table.shares else _numbers(table)
        if finding is not None:
            yield finding
            return


def _classes(table: Learned) -> Finding | None:
    shares, kinds = table.shares, sum(share > 0 for share in table.shares)
    seen, rows = table.signal("target.entropy"), table.signal("batch.rows")
    if len(seen) < BATCHES or len(seen) != len(rows) or kinds < _TWO:
        return None
    if kinds == _TWO and _several_backwards(table.record):
        return None
    size = round(median(count for _, count in rows))
    entropies = [max(0.0, value) for _, value in seen]
    if size < ROWS or _planned(entropies):
        return None
    drawn = _at_random(shares, size)
    found = fmean(entropies)
    if drawn < ENTROPY or found > FEW * drawn:
        return None
    one = fmean(value == 0 for value in entropies)
    text = f"the batches are of a kind: {size} rows hold labels of {found:.2f} nats on average, "
    text += f"drawn at random from the same data it would be {drawn:.2f}"
    if one:
        text += f"; {one:.0%} of the batches hold a single class"
    return _finding(table, text, Evidence("labels in a batch, nats", round(found, 3), drawn))


def _numbers(table: Learned) -> Finding | None:
    """One number as target, from a data set whose rows come again."""
    seen, rows = table.signal("target.std"), table.signal("batch.rows")
    if table.kind != "values" or table.targets.get("classes") != 1 or len(seen) < BATCHES:
        return None
    again = table.inputs["rows"] > table.inputs["distinct"]
    size = round(median(count for _, count in rows))
    overall = math.sqrt(table.targets["variance"])
    if not again or table.inputs.get("conflicts") or size < 2 * ROWS or not overall:
        return None
    within = fmean(value for _, value in seen)
    if within > NARROW * overall:
        return None
    text = f"the batches are of a kind: targets of {size} rows differ by {within:.3g} in a batch, "
    text += f"over all batches by {overall:.3g}"
    return _finding(table, text, Evidence("deviation in a batch", within, round(overall, 4)))


def _finding(table: Learned, text: str, seen: Evidence) -> Finding:
    loader = next((p for p in table.record.phases if p.backwards and p.loader), None)
    if loader is not None and not loader.shuffled:
        text += "; the data loader does not shuffle"
    left = fallen(table.record)
    evidence = [seen]
    if left is not None:
        evidence.append(Evidence("loss at the end over that at first", round(left, 3)))
    return Finding(
        text=text,
        line=table.loss_line,
        place="batches",
        severity="suspicion",
        confidence="strong",
        evidence=tuple(evidence),
        prescriptions=(
            Prescription("shuffle", "shuffle the rows, not only the batches, before every epoch"),
        ),
        confirm="the labels of the first batches, printed",
    )


def _several_backwards(record: Record) -> bool:
    """Whether steps take more than one loss: one batch of each kind, perhaps."""
    optimizers = [o for o in record.optimizers.values() if o.steps]
    shapes = [shape for o in optimizers for shape, _ in record.shapes_of(o.id)[:1]]
    return len(optimizers) > 1 or any(shape.count("backward") > 1 for shape in shapes)


def _planned(entropies: list[float]) -> bool:
    """Whether each batch holds equal numbers of the same number of classes, more than one."""
    kinds = math.exp(median(entropies))
    whole = round(kinds)
    return whole >= _TWO and all(abs(e - math.log(whole)) < _EVEN for e in entropies)


def _at_random(shares: list[float], rows: int) -> float:
    """The mean entropy of the labels of so many rows drawn by these shares."""
    source = random.Random(0)  # noqa: S311  # no secret
    total = 0.0
    for _ in range(DRAWS):
        labels = source.choices(range(len(shares)), shares, k=rows)
        counts = [labels.count(label) for label in set(labels)]
        total -= sum(count / rows * math.log(count / rows) for count in counts)
    return round(total / DRAWS, 3)
