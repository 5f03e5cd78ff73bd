"""unseeded-run (T13): no seed is set, and the run before began elsewhere.

## What is seen
`torch.manual_seed` was not called before the first step, and the last record of the same script,
with the same arguments and unchanged since, has another first loss.
## Why the net does not learn
It does; but two runs differ by more than what was changed between them, and a small gain cannot be
told from luck.
## When this is wrong
Never as a fact; whether runs must repeat is a matter of taste. It is a note.
## What to try
`torch.manual_seed(0)` at the start of the program, or several runs for each comparison.
## Sources
Bouthillier et al. 2021 (variance in machine learning benchmarks); PyTorch notes on reproducibility.
"""

from collections.abc import Iterator

from torchdx.record.model import Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule


@rule("T13", "unseeded-run")
def check(record: Record) -> Iterator[Answer]:
    """At most one note."""
    previous = record.meta.get("previous") or {}
    seeded = any(event.step == 0 for event in record.of("seed"))
    losses = [o.first_loss for o in record.optimizers.values() if o.first_loss is not None]
    before = previous.get("first_loss")
    if seeded or before is None or not losses or losses[0] == before:
        return
    yield Finding(
        text=f"no seed is set: the first loss is {losses[0]:.6g} here and was {before:.6g} in "
        f"the run before "
        f"({previous.get('run', '')}), with the same script and arguments",
        place="run",
        severity="note",
        evidence=(Evidence("first loss", losses[0], before), Evidence("seeds set", 0)),
        prescriptions=(Prescription("seed_once", "call torch.manual_seed(0) at the start"),),
    )
