"""dropout-too-strong (R01): dropout hides a large part of what the net has learnt from itself.

## What is seen
The loss of the same batch with dropout at work and with dropout off, batch norms being the same in
both, at probes from step 20 on. On average over them dropout adds at least half of the loss that is
left without it, and at least an eighth of the loss that the untrained net began with.
## Why the net does not learn
The gradient is that of a net most of whose information is gone, and another part of it at each
step: what is left to learn drowns in the noise. Small nets, regressions and last layers suffer
most, for there a unit has no others that could stand in for it.
## When this is wrong
Nets that are trained on noised inputs on purpose, by a dropout layer on the input (denoising
autoencoders), have such a gap by design. Late in training a gap is usual where the loss itself is
small: it does not count unless it is large against the first loss.
## What to try
Lower p (half of it), or move dropout away from narrow layers and from the last ones; then compare
the loss in evaluation mode.
## Sources
Stack Overflow 44695141; UMLAUT's rule for dropout above 0.5; Srivastava et al. 2014, section 7.3
(dropping rates against width); limits: docs/limits.md, R01.
"""

from collections.abc import Iterator
from statistics import fmean
from typing import NamedTuple

from torchdx.record.model import Event, Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule
from torchdx.rules.regularisation.dropouts import dropouts_of

# Limits: docs/limits.md, R01.
FROM_STEP = 15  # earlier, hardly anything has been learnt that dropout could hide
PROBES = 2  # one batch alone may be an odd one
SHARE = 1 / 8  # of the first loss; healthy programs with dropout: 0.09 at most
LEFT = 0.5  # of the loss that is left without dropout


@rule("R01", "dropout-too-strong")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the first model in which it is so."""
    by_model: dict[str, list[Event]] = {}
    for event in record.probes("modes"):
        if event.facts["train_loss"] is not None:
            by_model.setdefault(event.facts["model"], []).append(event)
    for events in by_model.values():
        first = events[0].facts["train_loss"]
        late = [e for e in events if e.step >= FROM_STEP and e.facts["train_difference"] > 0]
        if len(late) < PROBES or first <= 0:
            continue
        losses = _Losses(
            first,
            fmean(e.facts["train_loss"] for e in late),
            fmean(e.facts["batch_loss"] for e in late),
            len(late),
        )
        if losses.added >= max(SHARE * first, LEFT * losses.without):
            yield _finding(record, late[-1], losses)
            return


class _Losses(NamedTuple):
    """At the first probe, and the means of later ones with dropout and without."""

    first: float
    dropped: float
    without: float
    probes: int

    @property
    def added(self) -> float:
        return self.dropped - self.without


def _finding(record: Record, event: Event, losses: _Losses) -> Finding:
    layers = dropouts_of(record, event.facts["model"])
    where = layers[0] if layers else event.facts["model"]
    share = losses.added / losses.first
    return Finding(
        text=f"the loss of the same batch is {losses.dropped:.3g} with dropout at work and "
        f"{losses.without:.3g} without it (means of {losses.probes} probes): dropout adds "
        f"{share:.0%} of the first loss",
        line=record.made(where) or event.line,
        place=where,
        severity="suspicion",
        confirm="the same training with half of the share dropped has a lower loss in evaluation",
        evidence=(
            Evidence("loss of a batch with dropout at work", losses.dropped, losses.without),
            Evidence("what dropout adds, as a share of the first loss", share, SHARE),
        ),
        prescriptions=(
            Prescription("dropout", "halve the share that is dropped", where=where, to="x0.5"),
        ),
    )
