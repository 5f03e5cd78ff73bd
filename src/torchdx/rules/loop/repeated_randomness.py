"""repeated-randomness (T12): the same random numbers are drawn again every epoch or step.

## What is seen
`torch.manual_seed` was called with the same number from the same line, several times during the
training of the same optimizer, after random numbers had been drawn from the state that it set.
## Why the net does not learn
Shuffling gives the same batches in the same order in every epoch; dropout and augmentation repeat
the same few masks. What was to average out over the training never does.
## When this is wrong
A seed that is set anew for each fold, setting or model is passed over: a new optimizer is made
after it. So are states put back as a whole (`fork_rng`, `set_rng_state`), and seedings after which
only an unshuffled data loader drew, for no use.
## What to try
Seed once, before the model is made. For numbers that should repeat (samples to look at), use a
`torch.Generator` of their own or `torch.random.fork_rng()`.
## Sources
PyTorch notes on reproducibility; observed in programs whose `set_seed` moved into the epoch loop.
"""

from collections.abc import Iterator

from torchdx.record.model import Event, Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule

TIMES = 3  # the same numbers, drawn once more each time


@rule("T12", "repeated-randomness")
def check(record: Record) -> Iterator[Answer]:
    """One finding a line."""
    by_line: dict[object, list[Event]] = {}
    for event in record.of("seed"):
        if event.facts["drawn"] and not event.facts["fresh"]:
            by_line.setdefault((event.line, event.facts["seed"]), []).append(event)
    for events in by_line.values():
        if events[-1].facts["times"] > TIMES and len(events) >= TIMES and _random(record):
            yield _finding(events)


def _random(record: Record) -> bool:
    """Whether training draws numbers: a shuffling loader, dropout, or none of torch's loaders."""
    passes = [phase for phase in record.phases if phase.loader and phase.backwards]
    shuffled = any(phase.shuffled for phase in passes)
    awake = any(event.facts["active"] for event in record.of("learning-mode"))
    return shuffled or awake or not passes


def _finding(events: list[Event]) -> Finding:
    last = events[-1]
    seed, times = last.facts["seed"], last.facts["times"]
    apart = sorted(event.facts["backwards"] for event in events)[len(events) // 2]
    often = "every training step" if apart == 1 else f"every {apart} training steps"
    return Finding(
        text=f"torch.manual_seed({seed}) was called {times} times from the same line, {often}: "
        f"shuffling, dropout "
        f"and whatever else is random repeat the same numbers each time",
        line=last.line,
        place="run",
        evidence=(
            Evidence("seedings with the same number during training", times, 1),
            Evidence("backward passes between them", apart),
        ),
        prescriptions=(Prescription("seed_once", "seed once, before the model is made"),),
    )
