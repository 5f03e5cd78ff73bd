"""The bins into which values are counted: the same for all layers, steps, signals and runs.

Octaves of the magnitude, for each sign, about a bin for zero: a layer that vanishes and one that
explodes have as many bins as a layer in between, and a factor of two is as wide everywhere. They
reach from 2^-40 (1e-12: gradients by output are as small where a loss is a mean over many) to 2^16
(65,536: float16 ends there; 2^-24, where it begins, is an edge). A narrow bin holds what is 1 up to
3 %: there tanh, sigmoid and clamps are saturated. Outermost lies what is not finite.

In a record a histogram is a list of shares in permille, a run of n empty bins written as -n, and
none behind the last that is not empty.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby

LOWEST, HIGHEST = -40, 16  # powers of two
NEAR_ONE = 1 / 32
_SMALLEST, _LARGEST = 2.0**-126, (2 - 2.0**-23) * 2.0**127  # of float32, with all its digits

MAGNITUDES = (
    _SMALLEST,
    *(2.0**power for power in range(LOWEST, 0)),
    1 - NEAR_ONE,
    1 + NEAR_ONE,
    *(2.0**power for power in range(1, HIGHEST + 1)),
    _LARGEST,
)
EDGES = (*(-size for size in reversed(MAGNITUDES)), *MAGNITUDES)
BINS = len(EDGES) + 1  # bin i holds what lies above EDGES[i - 1], and not above EDGES[i]
ZERO = len(MAGNITUDES)  # the bin of zero
NOT_FINITE = (0, BINS - 1)  # the bins of -inf, and of inf and NaN


def shares(counts: Sequence[float]) -> list[int]:
    """In permille of all; of what is not finite, at least 1 where there is any."""
    whole = sum(counts)
    found = [round(1000 * count / whole) for count in counts]
    for index in NOT_FINITE:
        found[index] = max(found[index], int(counts[index] > 0))
    return found


def packed(histogram: Iterable[int]) -> list[int]:
    """As a record has it."""
    found: list[int] = []
    for empty, run in groupby(histogram, key=lambda share: share == 0):
        values = list(run)
        found += [-len(values)] if empty else values
    return found[:-1] if found and found[-1] < 0 else found


def unpacked(written: Iterable[int]) -> list[int]:
    """All bins of a histogram that a record has."""
    found: list[int] = []
    for value in written:
        found += [0] * -value if value < 0 else [value]
    return found + [0] * (BINS - len(found))
