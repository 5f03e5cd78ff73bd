"""identical-worker-seeds (D15): the processes of a data loader draw the same random numbers.

## What is seen
Two processes of one loader began with a random generator in the same state (after
`worker_init_fn`), drew from it while they made their first batch, and left it in the same state
again. For a stream (`IterableDataset`), batches of theirs are equal too.
## Why the net does not learn
It learns less than it could: augmentation, partners for mixing, or the rows themselves come twice
(or as often as there are processes), the second time without anything new. A generator that the
data set carries is copied into each process with its state, and, as processes are started anew for
each epoch, back into its first state too.
## When this is wrong
A stream whose processes deal one common order out among themselves needs the same state: there the
batches differ, and this rule is silent. Only forked processes are looked into.
## What to try
Draw from torch's own generator, which every process begins with a seed of its own; or make the
generator in the process: `get_worker_info().seed` as its seed, in `worker_init_fn` or at first use.
## Sources
Stack Overflow 67180955; pytorch/pytorch 5059; T. Haubner 2021, "Using PyTorch + NumPy? You're
making a mistake"; documentation of `torch.utils.data`, "Randomness in multi-process data loading".
"""

from collections.abc import Iterator

from torchdx.record.model import Event, Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule

# Share of a stream's first batches that another process had yielded. Two processes in step: 0.5;
# ones with seeds of their own, or one order dealt out: 0.
EQUAL = 0.25


@rule("D15", "identical-worker-seeds", silences="D09")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the first data set whose processes draw alike."""
    newest = {event.facts["loader"]: event for event in record.of("workers")}
    for event in newest.values():
        if not event.facts["stream"] or event.facts["equal"] >= EQUAL:
            yield _finding(event)
            return


def _finding(event: Event) -> Finding:
    facts = event.facts
    which = " and ".join(
        name if name.endswith("'s") else f"`{name}` of the data set" for name in facts["alike"]
    )
    text = f"processes of the loader, {facts['workers']} in all, begin with {which} in one and the "
    text += "same state, and draw the same random numbers from it"
    if facts["anew"]:
        text += "; each epoch begins with that state again"
    evidence = [Evidence("generators that two processes drew alike from", len(facts["alike"]), 0)]
    if facts["stream"]:
        what = "share of the first batches that another process had yielded"
        evidence.append(Evidence(what, facts["equal"], 0.0))
    return Finding(
        text=text,
        line=event.line,
        place=", ".join(facts["alike"]),
        severity="fault",
        evidence=tuple(evidence),
        prescriptions=(
            Prescription(
                "worker_init_fn",
                "seed the generator in each process with torch.utils.data.get_worker_info().seed",
            ),
        ),
    )
