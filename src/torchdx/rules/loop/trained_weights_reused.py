"""trained-weights-reused (T10): what should be a new run begins with the weights of the one before.

## What is seen
An optimizer was made again on the same line, with other settings, for exactly the parameters that
its predecessor had trained, and the first loss of the new run is less than half of the first one's.
Where the settings differ only in a falling learning rate, which could be a schedule in stages, each
of the runs must also have been judged once, at its end. With equal settings: two or more models
took turns on that line, and each run ended by loading a state that was kept during it.
## Why the net does not learn
It does, but the comparison means nothing: later settings inherit the training of earlier ones, and
the last one tends to look best.
## When this is wrong
Training in stages on purpose, by one function and with other settings each time. An optimizer that
is made anew with the same settings (every epoch, every task), further training from another line,
and changed sets of parameters are passed over.
## What to try
Make the model inside the loop over the settings, where the optimizer is made.
## Sources
PulseML and DeepCrime keep "weights not reset between trials" among their sweeps' faults; observed
in sweeps over learning rates.
"""

from collections.abc import Iterator
from itertools import pairwise

from torchdx.record.model import Optimizer, Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule

# Of the first run's first loss: a fresh model of the same make starts within a few per cent of it.
SHARE = 0.5


@rule("T10", "trained-weights-reused")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the first line on which it happened."""
    chains = list(_chains(record))
    for runs in chains:
        first, later = runs[0], runs[1:]
        lower = [run for run in later if _far_below(first, run)]
        turns = [c for c in chains if c[0].line == first.line]
        if lower and (_another_run(record, runs) or _took_turns(record, turns)):
            yield _finding(first, later, lower)
            return


def _chains(record: Record) -> Iterator[list[Optimizer]]:
    """Optimizers made on one line for the same parameters, one after another trained them."""
    made: dict[tuple[object, frozenset[str]], list[Optimizer]] = {}
    for optimizer in record.optimizers.values():
        if optimizer.line is not None and optimizer.steps:
            made.setdefault((optimizer.line, frozenset(optimizer.parameters)), []).append(optimizer)
    for runs in made.values():
        if len(runs) > 1 and all(a.id in b.trained for a, b in pairwise(runs)):
            yield runs


def _far_below(first: Optimizer, run: Optimizer) -> bool:
    if first.first_loss is None or run.first_loss is None:
        return False
    return 0 <= run.first_loss < SHARE * first.first_loss


def _another_run(record: Record, runs: list[Optimizer]) -> bool:
    """Whether the settings differ, and not as they would in stages of one training."""
    settings = [{**run.defaults} for run in runs]
    rates = [setting.pop("lr", None) for setting in settings]
    if any(setting != settings[0] for setting in settings[1:]):
        return True
    numbers = [rate for rate in rates if isinstance(rate, int | float)]
    if len(set(rates)) < 2 or len(numbers) < len(rates):  # noqa: PLR2004
        return False
    falling = all(a >= b for a, b in pairwise(numbers))
    return not falling or _judged_at_their_ends(record, runs)


def _took_turns(record: Record, chains: list[list[Optimizer]]) -> bool:
    """Whether several models were trained in turn, each run ending with a state kept during it."""
    order = sorted((run.id, number) for number, runs in enumerate(chains) for run in runs)
    turns = [number for _, number in order]
    alternate = all(a != b for a, b in pairwise(turns))
    restored = [
        e for e in record.of("load-state-dict") if e.facts["at"] > 0 and e.facts["other"] is None
    ]
    return alternate and len(restored) >= len(turns)


def _judged_at_their_ends(record: Record, runs: list[Optimizer]) -> bool:
    """Whether there was one validation for each run, after its last step."""
    ends, done = [], 0
    for run in runs:
        done += run.steps
        ends.append(done)
    judged = sorted(phase.at for phase in record.phases if phase.validation and phase.at)
    return record.backwards == done and judged == ends


def _finding(first: Optimizer, later: list[Optimizer], lower: list[Optimizer]) -> Finding:
    run = lower[0]
    return Finding(
        text=f"{len(later) + 1} {run.cls} optimizers were made on the same line, one after "
        f"another, for the "
        f"same {len(run.parameters)} parameters: the first run began with a loss of "
        f"{first.first_loss:.4g}, a later "
        f"one with {run.first_loss:.4g}, on weights that had been trained for "
        f"{sum(run.trained.values())} steps",
        line=run.line,
        place="run",
        severity="suspicion",
        confirm="each run that is to be compared begins with a first loss near that of the "
        "first run",
        evidence=(Evidence("first loss of a later run", run.first_loss or 0.0, first.first_loss),),
        prescriptions=(
            Prescription("fresh_model", "make the model anew before each run of the sweep"),
        ),
    )
