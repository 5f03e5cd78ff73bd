"""plateau-wrong-way (O18): a scheduler that waits for a plateau takes a metric's rise for a fall.

## What is seen
A `ReduceLROnPlateau` cut the rate at calls at which its metric was better, the other way round,
than ever before; by its own `mode` the metric was never better than at the first call; and the
training loss had fallen meanwhile. With `mode="min"` the metric must be a share of rows: all its
values are multiples of one over a number of rows, which losses are not. With `mode="max"` it must
be none.
## Why the net does not learn
Each epoch that gets better counts as one that got worse, so that the rate is cut as long as the net
learns, until it does not any more.
## When this is wrong
A metric that gets worse from the first epoch on although the loss falls: an error rate under
overfitting that begins at once, or a loss that was rounded to four digits. Then the rate is rightly
cut, and something else is wrong.
## What to try
`mode="max"` for accuracy and other scores, `mode="min"` (which is the default) for losses.
## Sources
`torch.optim.lr_scheduler.ReduceLROnPlateau`, `mode`; observed in trials.
"""

from collections.abc import Iterator
from statistics import fmean

from torchdx.record.model import Event, Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule

CUTS = 2  # the other way round; own choice: one may be chance
# Values that are all shares of at most 10,000 rows by chance: below 1e-4 for three, of single
# precision (each is such for a given number of rows with a probability below 4e-3).
CALLS = 3


@rule("O18", "plateau-wrong-way")
def check(record: Record) -> Iterator[Answer]:
    """One finding for each scheduler of which it can be shown."""
    newest = {event.facts["scheduler"]: event for event in record.of("plateau")}
    for event in newest.values():
        if _other_way(event) and _fell(record, event.facts["steps"]):
            yield _finding(record, event)


def _other_way(event: Event) -> bool:
    facts = event.facts
    lower = facts["mode"] == "min"
    never = facts["first"] <= facts["lowest"] if lower else facts["first"] >= facts["highest"]
    share = facts["rows"] > 0
    enough = facts["other_way"] >= CUTS and facts["calls"] >= CALLS
    return bool(never and enough and share == lower)


def _fell(record: Record, until: int) -> bool:
    """Whether the training loss was lower in the last quarter of these steps than in the first."""
    losses = [loss for step, loss in record.losses if step <= until]
    quarter = len(losses) // 4
    return quarter > 0 and fmean(losses[-quarter:]) < fmean(losses[:quarter])


def _finding(record: Record, event: Event) -> Finding:
    facts = event.facts
    scheduler = record.schedulers.get(facts["scheduler"])
    lower = facts["mode"] == "min"
    best = facts["highest"] if lower else facts["lowest"]
    other = "max" if lower else "min"
    what = f"a share of {facts['rows']} rows" if lower else "no share of rows"
    return Finding(
        text=f"{scheduler.cls if scheduler else 'the scheduler'} takes a "
        f"{'lower' if lower else 'higher'} metric for better and cut the rate {facts['cuts']} "
        f"times while the metric ({what}) went from {facts['first']:.4g} to {best:.4g} and the "
        f"training loss fell",
        line=scheduler.line if scheduler else event.line,
        place=f"optimizer {scheduler.optimizer}" if scheduler else "",
        severity="suspicion",
        confidence="strong",
        evidence=(
            Evidence("cuts at the metric's best so far, the other way", facts["other_way"], CUTS),
            Evidence("metric at the first call, and farthest from it", facts["first"], best),
        ),
        prescriptions=(
            Prescription("plateau_mode", f'make the scheduler with mode="{other}"', to=other),
        ),
        confirm=f"whether {'a higher' if lower else 'a lower'} value of this metric is better",
    )
