"""loss-history-kept (T06): losses are summed or collected as tensors, with the graphs behind them.

## What is seen
A variable of the running program that adds up losses, or a list of them, whose chain of histories
grew with the optimizer steps, by the same number of losses a step, at several looks in a row.
## Why the net does not learn
It does, but the graph of every step stays alive for as long as the sum does, with all that is kept
in it: memory grows with each step until it runs out.
## When this is wrong
A loss of many terms is as long at every step, and does not grow; sums over the micro-batches of one
step begin anew with each step. Both are passed over. A short list costs little.
## What to try
Add up `loss.item()`, or `loss.detach()` where a synchronisation would hurt.
## Sources
PyTorch FAQ, "My model reports CUDA runtime error(2): out of memory"; PyTorch forum 90400.
"""

from collections.abc import Iterator

from torchdx.record.model import Event, Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule

LOOKS = 4  # in line with each other: sums of random length can rise twice or three times by chance
GROWN = 4  # losses more at the last of these looks than at the first


@rule("T06", "loss-history-kept")
def check(record: Record) -> Iterator[Answer]:
    """One finding a variable."""
    kept: dict[tuple[object, str], list[Event]] = {}
    for event in record.of("held"):
        kept.setdefault((event.line, event.facts["name"]), []).append(event)
    for events in kept.values():
        run = _longest_growth(events)
        if len(run) >= LOOKS and run[-1].facts["links"] - run[0].facts["links"] >= GROWN:
            yield _finding(run)


def _longest_growth(events: list[Event]) -> list[Event]:
    """The longest row of looks between which each step left the same number of losses behind."""
    best: list[Event] = []
    row: list[Event] = []
    for event in events:
        if len(row) > 1 and _left_a_step(row[-2], row[-1]) != _left_a_step(row[-1], event):
            row = row[-1:]
        row = [*row, event] if row and _left_a_step(row[-1], event) else [event]
        best = max(best, row, key=len)
    return best


def _left_a_step(before: Event, after: Event) -> int:
    """How many losses each step between two looks added, 0 when that is no whole number."""
    steps = after.step - before.step
    links = int(after.facts["links"] - before.facts["links"])
    return links // steps if steps > 0 and links > 0 and links % steps == 0 else 0


def _finding(run: list[Event]) -> Finding:
    first, last = run[0], run[-1]
    name = first.facts["name"]
    form = "adds the losses up" if first.facts["form"] == "sum" else "collects the losses"
    return Finding(
        text=f"{name} {form} with their history: it held {first.facts['links']} losses at step "
        f"{first.step} and "
        f"{last.facts['links']} at step {last.step}, so that the graphs of all these steps "
        f"stay in memory",
        line=first.line,
        place=name,
        evidence=(
            Evidence("losses with a history", last.facts["links"], first.facts["links"]),
            Evidence("optimizer steps in between", last.step - first.step),
        ),
        prescriptions=(
            Prescription("item", f"add loss.item() to {name} instead of the loss", where=name),
        ),
    )
