"""softmax-assumption (L21): one label a row is assumed where rows have several, or none.

## What is seen
A cross-entropy whose target rows share one probability out equally among several classes.
## Why the net does not learn
A softmax answers "which one": its probabilities sum to one, so that two labels on a row can get at
most one half each, and a row with none must still name one. Raising one label lowers the other.
## When this is wrong
Votes of several people on one question are shares of one label; they are rarely equal.
## What to try
One sigmoid a class: binary cross-entropy with as many outputs as labels.
## Sources
Stack Overflow 45337371, 38648195, 31627380; Bishop 2006, section 4.3.
"""

from collections.abc import Iterator

from torchdx.record.model import Record
from torchdx.rules.asked import Asked, asked
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule

# Share of rows with two equal greatest shares and nothing else. Label smoothing, mixing and
# distillation have none; a half-and-half mix of two pictures comes in less than 1 % of rows.
TIES = 0.1


@rule("L21", "softmax-assumption")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the first loss of this kind."""
    for loss in asked(record):
        if loss.facts["loss"] == "soft" and loss.facts["rows"]:
            share = loss.facts.get("ties", 0) / loss.facts["rows"]
            if share >= TIES:
                yield _finding(loss, share)
                return


def _finding(loss: Asked, share: float) -> Finding:
    return Finding(
        text=f"{share:.0%} of the target rows share one probability out equally among several "
        "classes: a softmax cannot say yes to two of them",
        line=loss.line,
        place="loss",
        evidence=(Evidence("rows with several equal labels", share, TIES),),
        prescriptions=(
            Prescription("sigmoid_per_class", "one sigmoid a class, with binary cross-entropy"),
        ),
    )
