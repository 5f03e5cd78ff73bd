"""weight-decay-too-strong (O10): the decay pulls harder than the gradients.

## What is seen
The weights shrank to well under their first size, the pull of the decay is a large part of the
gradient or more, and the loss stopped falling.
## Why the net does not learn
The weights come to rest where the gradient of the data balances the decay, short of what the data
asks for; with a strong decay near zero, where every answer is the same.
## When this is wrong
Weights that shrink while the loss falls on are regularised as meant.
## What to try
A tenth or a hundredth of the decay; none on biases and normalisation weights.
## Sources
Stack Overflow 51028324, 39052558; Loshchilov & Hutter 2019 (arXiv 1711.05101) on decay in Adam.
"""

from collections.abc import Iterator

from torchdx.record.model import Optimizer, Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule
from torchdx.rules.optimisation.strides import Course, busiest
from torchdx.rules.series import late

SHRUNK = 0.7  # size of the weights at the end over that at first: healthy 0.97 and more, sick 0.47
PULL = 0.1  # norm of the decay over that of the gradient: sick 0.29 and 7.4
STALLED = 0.97  # loss of the last quarter over the third


@rule("O10", "weight-decay-too-strong", silences="O02 A06 A13 A02 A03 D06 A08")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the optimizer that stepped most."""
    optimizer, course = busiest(record), Course(record)
    if optimizer is None or not course.known or course.fall < STALLED:
        return
    sizes = [look.weight_norm for look in record.looks_of(optimizer.id) if look.weight_norm]
    pull = late(record.series("optimizer.decay_ratio", str(optimizer.id)), least=3)
    if len(sizes) > 1 and sizes[-1] <= SHRUNK * sizes[0] and pull is not None and pull >= PULL:
        yield _finding(optimizer, sizes[-1] / sizes[0], pull, course)


def _finding(optimizer: Optimizer, left: float, pull: float, course: Course) -> Finding:
    return Finding(
        text=f"the weights shrank to {left:.2f} times their first size: the decay pulls with "
        f"{pull:.2g} times the gradient, and the loss stopped falling at "
        f"{course.total:.2f} times its first value",
        line=optimizer.line,
        place=f"optimizer {optimizer.id}",
        severity="suspicion",
        confidence="strong",
        evidence=(
            Evidence("size of the weights over their first", left, SHRUNK),
            Evidence("decay over gradient", pull, PULL),
            Evidence("loss of the last quarter over the third", course.fall, STALLED),
        ),
        prescriptions=(Prescription("weight_decay", "divide the weight decay by 100", to="0.01"),),
        confirm="with a hundredth of the decay the loss falls further",
    )
