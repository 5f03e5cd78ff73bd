"""dominant-loss-term (L20): one term of the loss leaves nothing for another.

## What is seen
The loss is a sum of terms. The one that asks for the labels is a small share of it and hardly
falls, while the whole loss falls.
## Why the net does not learn
Steps go where the greatest gradient points. A penalty or a second task hundreds of times as large
decides every step, and what is left for the labels is noise.
## When this is wrong
A term that is nearly fitted is rightly a small share: it has fallen. A loss that begins at its
floor (fine-tuning with a strong penalty) cannot fall.
## What to try
Weigh the terms so that their gradients are of one size at first.
## Sources
PyTorch forum 126995; Kendall, Gal & Cipolla 2018 (arXiv 1705.07115); Chen et al. 2018 (GradNorm,
arXiv 1711.02257).
"""

from collections.abc import Iterator

from torchdx.record.model import Record
from torchdx.rules.asked import Asked, asked
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule
from torchdx.rules.series import early, fallen, late

# Share of the whole that the term of the labels has at most, and what it keeps of its first value
# at least; the whole must have fallen to less than that share of its own.
SMALL, KEPT, WHOLE = 0.2, 0.85, 0.8


@rule("L20", "dominant-loss-term", silences="O10 A13 A06 D06 A08")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the first loss of this kind."""
    whole = fallen(record)
    if whole is None or whole > WHOLE:
        return
    for loss in asked(record):
        series = loss.series(record, "loss.head")
        first, last = early(series), late(series)
        root = loss.facts["first"].get("root")
        if not first or last is None or not root or not _is_sum(loss):
            continue
        share = abs(first * _scale(loss) / root)
        if share <= SMALL and last / first >= KEPT:
            yield _finding(loss, share, last / first, whole)
            return


def _is_sum(loss: Asked) -> bool:
    if loss.head is None:
        return False
    return any(node.op in {"Add", "Sub"} for node in loss.graph.path_to_root(loss.head))


def _scale(loss: Asked) -> float:
    scale = None if loss.head is None else loss.graph.scale(loss.head)
    return 1.0 if scale is None else scale


def _finding(loss: Asked, share: float, kept: float, whole: float) -> Finding:
    weight = share / max(1.0 - share, share)  # with which the terms are of one size at first
    op = "" if loss.head is None else loss.head.op
    return Finding(
        text=f"the term of the loss that asks for the labels is {share:.1%} of it and keeps "
        f"{kept:.0%} of its first value, while the whole falls to {whole:.0%}",
        line=loss.graph.root.line or loss.line,
        place="loss",
        severity="suspicion",
        confidence="strong",
        evidence=(
            Evidence("share of the labels' term at first", share, SMALL),
            Evidence("what is left of it", kept, KEPT),
            Evidence("what is left of the whole", whole, WHOLE),
        ),
        prescriptions=(
            Prescription(
                "loss_weights",
                "weigh the other terms down until this one falls",
                where=op,
                to=f"{weight:.2g}",
            ),
        ),
        confirm="with the other terms weighed down tenfold this one falls",
    )
