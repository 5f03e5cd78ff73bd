"""same-batch-repeated (D09): step after step learns from the same rows.

## What is seen
All sampled steps took one and the same batch, though the data loader that the loop goes through had
many to give. Or batches come in blocks of equal ones: many steps on one, then many on the next,
each time memorised, and the loss leaps up where a new one begins.
## Why the net does not learn
A net soon knows a few dozen rows by heart: the training loss goes to 0 and says nothing about other
rows, which the rest of the data could have taught it.
## When this is wrong
Training on all rows at once takes the same batch each step and is healthy; without a data loader or
blocks nothing is told. Several steps on one batch are planned in reinforcement learning. To fit one
batch is a good test of a net, when that is what you want to know.
## What to try
Use the loop's own variables (`for xb, yb in loader: model(xb)`); do not call `next(iter(loader))`
inside the loop without shuffling, nor seed the generator of the draw anew before each one.
## Sources
Stack Overflow 53280967.
"""

from collections.abc import Iterator
from statistics import median

from torchdx.record.model import Phase, Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule
from torchdx.rules.data.learned_rows import Learned, learned

STEPS = 12  # sampled: of batches drawn anew, not two are the same
# Share of sampled steps with the batch of the step before. Healthy: 0 in 252 tables, 1 in the two
# that train on all rows at once. Sick, blocks of 30 steps: 0.97.
FOLLOWING = 0.8
DISJOINT = 0.8  # different rows over what so many different batches can hold: no growing set
# The loss where a block begins over that just before. Sick: 20 to 80. From batch to batch, healthy:
# 1 to 3 in late training.
LEAP = 5.0
LEAPS = 3  # blocks at least
_BEFORE = 3  # losses that the one after them is held against
_MANY = 3  # batches in a pass


@rule("D09", "same-batch-repeated", silences="R03 O17 D08 D05 O01 D10")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the first table of rows that hardly change."""
    for table in learned(record):
        facts = table.inputs
        if facts["batches"] < STEPS or facts["distinct"] == 1 or not table.kind:
            continue
        finding = _single(table) or _blocks(table)
        if finding is not None:
            yield finding
            return


def _single(table: Learned) -> Finding | None:
    """One batch throughout, beside a loader that has more."""
    facts = table.inputs
    loader = _loader(table.record)
    if facts.get("different", 0) != 1 or loader is None:
        return None
    text = f"all {facts['batches']} sampled steps learned from the same {facts['distinct']} rows, "
    text += f"while the data loader yielded {loader.batches} batches in each pass"
    held_out = table.held_out
    right = [value for _, value in table.signal("prediction.accuracy")]
    if held_out and right:
        text += f"; the model is right in {median(right[-5:]):.0%} of these rows and in "
        text += f"{held_out[-1]:.0%} of others"
    return _finding(
        table,
        text,
        Evidence("different batches learned from", 1, loader.batches),
        Evidence("different rows learned from", facts["distinct"]),
    )


def _loader(record: Record) -> Phase | None:
    """The last whole pass in which steps were made batch by batch, of several batches."""
    passes = [p for p in record.phases if p.complete and p.batches >= _MANY]
    return next((p for p in reversed(passes) if p.steps >= p.batches - 1), None)


def _blocks(table: Learned) -> Finding | None:
    """Many steps on each batch, memorised one after the other."""
    facts, record = table.inputs, table.record
    following, different = facts.get("following"), facts.get("different", 0)
    optimizers = sum(optimizer.steps > 0 for optimizer in record.optimizers.values())
    if following is None or following < FOLLOWING or different <= optimizers:
        return None
    size = facts["rows"] / facts["batches"]
    leaps = _leaps([loss for _, loss in record.losses])
    if facts["distinct"] < DISJOINT * different * size or len(leaps) < LEAPS:
        return None
    before, after = median(b for b, _ in leaps), median(a for _, a in leaps)
    text = (
        f"each batch is taken again for many steps ({following:.0%} of the sampled steps had the "
    )
    text += f"batch of the step before) and memorised: {len(leaps)} times the loss leaps, from "
    text += f"{before:.2g} to {after:.2g}, when the next batch comes"
    return _finding(
        table,
        text,
        Evidence("steps with the batch of the step before", round(following, 3), 0.0),
        Evidence("loss on new rows over that on known ones", round(after / before, 1), LEAP),
    )


def _leaps(losses: list[float]) -> list[tuple[float, float]]:
    """Where the loss rises steeply above the few before it: (before, after)."""
    found: list[tuple[float, float]] = []
    for index in range(_BEFORE, len(losses)):
        before = max(losses[index - _BEFORE : index])
        if 0 < before * LEAP < losses[index]:
            found.append((before, losses[index]))
    return found


def _finding(table: Learned, text: str, *evidence: Evidence) -> Finding:
    return Finding(
        text=text,
        line=table.line,
        place="batches",
        severity="suspicion",
        confidence="strong",
        evidence=evidence,
        prescriptions=(
            Prescription("next_batch", "give the model the batch that the loop has just drawn"),
        ),
        confirm="whether learning from these rows alone is what the run is for",
    )
