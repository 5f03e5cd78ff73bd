"""Schedules as functions of how far the training is, 0 to 1, and phases of them joined into one.

    rate = combined([0.3, 0.7], [cosine(0.3, 0.6), cosine(0.6, 0.2)])
    rate(0.0), rate(0.3), rate(1.0)  # 0.3, 0.6, 0.2
    scheduler = over(optimizer, rate, steps=1000)

Where phases are joined the earlier ends on what the later begins with, if they were given so. The
end belongs to the last phase: a lookup of the last boundary that is at or below the position finds
a phase too many there.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from torchdx.errors import CallError

Schedule = Callable[[float], float]

ROUNDING = 1e-9  # by which shares may miss one: 0.2 + 0.7 + 0.1 does, by 1e-16


def cosine(start: float, end: float) -> Schedule:
    """From start to end along half a wave, level at both."""
    return _between(start, end, lambda position: (1 - math.cos(math.pi * position)) / 2)


def linear(start: float, end: float) -> Schedule:
    """From start to end along a line."""
    return _between(start, end, lambda position: position)


def combined(shares: Sequence[float], phases: Sequence[Schedule]) -> Schedule:
    """Phases one after the other, each over its share of the whole.

    combined([0.3, 0.7], [cosine(0.3, 0.6), cosine(0.6, 0.2)])

    Args:
        shares: above 0, together 1.
        phases: as many; each is asked for positions of its own, 0 to 1.

    Raises:
        CallError: shares and phases do not fit.
    """
    _check(shares, phases)
    begins = [0.0, *accumulate(shares[:-1])]
    ends = [*begins[1:], 1.0]

    def schedule(position: float) -> float:
        held = _held(position)
        number = bisect_right(begins, held) - 1
        within = (held - begins[number]) / (ends[number] - begins[number])
        return phases[number](within)

    return schedule


def over(optimizer: Optimizer, schedule: Schedule, steps: int) -> LambdaLR:
    """A scheduler that takes the optimizer through a schedule in so many steps, one call a step.

    Values are factors of the optimizer's own rate; with a rate of 1 they are the rates. Calls
    beyond the last step leave the rate at the schedule's end.

    Raises:
        CallError: there are no steps.
    """
    if steps < 1:
        msg = f"a schedule over {steps} steps: it needs at least one. Give epochs x len(loader)."
        raise CallError(msg)
    return LambdaLR(optimizer, lambda taken: schedule(min(1.0, taken / steps)))


def _between(start: float, end: float, share: Schedule) -> Schedule:
    def schedule(position: float) -> float:
        done = share(_held(position))
        return start * (1 - done) + end * done

    return schedule


def _held(position: float) -> float:
    """Before the beginning the beginning holds, behind the end the end."""
    return min(1.0, max(0.0, float(position)))


def _check(shares: Sequence[float], phases: Sequence[Schedule]) -> None:
    if len(shares) != len(phases) or not shares:
        msg = f"{len(shares)} shares for {len(phases)} phases: each phase needs one."
        raise CallError(msg)
    total = math.fsum(shares)
    if min(shares) <= 0 or abs(total - 1) > ROUNDING:
        msg = (
            f"shares {', '.join(f'{share:g}' for share in shares)} come to {total:g}: each has to "
            "be above 0, and together they are the whole, 1. Divide each by their sum."
        )
        raise CallError(msg)
