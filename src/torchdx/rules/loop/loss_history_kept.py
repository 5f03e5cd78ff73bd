"""loss-history-kept (T06): losses are summed or collected as tensors, with the graphs behind them.

## What is seen
A variable of the running program that adds up losses, or a list of them. At several looks in a
row, some optimizer steps apart, it held all the losses that it had held before, and more.
## Why the net does not learn
It does, but the graph of every step stays alive for as long as the sum does, with all that is kept
in it: memory grows with each step until it runs out.
## When this is wrong
A loss of many terms is made anew at every step, and so are sums over the micro-batches of a step
and lists of an episode, whatever their length: they hold nothing old and are passed over. A short
list costs little.
## What to try
Add up `loss.item()`, or `loss.detach()` where a synchronisation would hurt.
## Sources
PyTorch FAQ, "My model reports CUDA runtime error(2): out of memory"; PyTorch forum 90400.
"""

from collections.abc import Iterator

from torchdx.record.model import Event, Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule

LOOKS = 3  # at two of them, what was held before was still there
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
    """The longest row of looks at each of which all was still held, and more."""
    best: list[Event] = []
    row: list[Event] = []
    for event in events:
        row = [*row, event] if row and _kept(row[-1], event) else [event]
        best = max(best, row, key=len)
    return best


def _kept(before: Event, after: Event) -> bool:
    held = before.facts["links"]
    return bool(after.step > before.step and after.facts["old"] >= held < after.facts["links"])


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
