"""Decides which steps are measured, so that watching stays within its budget.

Two leaky buckets, each half of the budget: one for the cheap measurements (gradient norms, the
batch, what is predicted), one for the full ones (every layer, forward and backward). A bucket fills
with the time that the program takes and is emptied by what a sampled step costs: our own time,
corrected by how much longer sampled steps last than their neighbours; each may use `GRACE_S` more
over the whole run. Beside the budget, samples
become rarer with the logarithm of the steps, so that records stay small. The first `FIRST` steps,
and `AFTER_ALARM` after each finding, are measured fully whatever that costs; the record says so.
"""

import time
from collections import deque
from enum import IntEnum
from statistics import median

from torchdx.events.recorder import Sparse

BUDGET = 0.02  # of the program's time
FIRST = 20  # steps measured fully
GRACE_S = 0.5  # seconds that each bucket may use beyond its share: short runs are seen well too
AFTER_ALARM = 5  # steps measured fully after a finding
PAIRS = 20  # sampled and unsampled steps from which the correction is taken
# Our own clock sees about half of what a sample costs: caches and allocator pay too. Between one
# and four times was measured on an MLP (4 ms a step), a GPT (230 ms) and ResNet-20 (370 ms).
CORRECTION, CORRECTION_MOST = 2.0, 4.0
_KEPT = 60  # durations from which medians are taken
_FULL_RATIO, _CHEAP_RATIO = 1.1, 1.02  # how far apart samples come to lie


class Level(IntEnum):
    """How closely a step is looked at."""

    NONE = 0
    CHEAP = 1
    FULL = 2


class _Bucket:
    """A share of the program's time, and what sampling has used of it."""

    def __init__(self, share: float, dense: int, ratio: float) -> None:
        self._share = share
        self._sparse = Sparse(dense, ratio)
        self._credit = GRACE_S
        self.cost = 0.0  # of one sample, lately

    def fill(self, seconds: float) -> None:
        self._credit = min(self._credit + seconds * self._share, max(10 * self.cost, GRACE_S))

    def pay(self, seconds: float, *, free: bool) -> None:
        self.cost = seconds if self.cost == 0 else 0.8 * self.cost + 0.2 * seconds
        if not free:
            self._credit -= seconds

    def due(self, step: int) -> bool:
        return self._credit >= self.cost and self._sparse.due(step)


class Governor:
    """Chooses the level of each step of one optimizer.

    Args:
        budget: the share of the program's time that sampling may cost, 0 to 1.
    """

    def __init__(self, budget: float = BUDGET) -> None:
        self.budget = budget
        self._full = _Bucket(budget / 2, FIRST, _FULL_RATIO)
        self._cheap = _Bucket(budget / 2, 10 * FIRST, _CHEAP_RATIO)
        self._alarm = 0
        self._began: float | None = None
        self._own = 0.0
        self._durations: dict[Level, deque[float]] = {x: deque(maxlen=_KEPT) for x in Level}
        self._owns: deque[float] = deque(maxlen=_KEPT)
        self.level = Level.FULL
        self.counts = dict.fromkeys(Level, 0)

    def alarm(self) -> None:
        """Something was found: the next steps are measured fully."""
        self._alarm = AFTER_ALARM

    def next(self, step: int, spent: float) -> Level:
        """A step has ended; how the one numbered `step` is measured.

        Args:
            step: from 1.
            spent: seconds that torchdx has used in this process until now.
        """
        self._settle(spent)
        self._began, self._own = time.perf_counter(), spent
        free = step <= FIRST or self._alarm > 0
        self._alarm = max(0, self._alarm - 1)
        if free or self._full.due(step):
            self.level = Level.FULL
        elif self._cheap.due(step):
            self.level = Level.CHEAP
        else:
            self.level = Level.NONE
        self._free = free
        self.counts[self.level] += 1
        return self.level

    _free = True

    def _settle(self, spent: float) -> None:
        if self._began is None:
            return
        lasted = time.perf_counter() - self._began
        own = spent - self._own
        self._durations[self.level].append(lasted)
        if self.level is Level.FULL:
            self._owns.append(own)
        for bucket in (self._full, self._cheap):
            bucket.fill(lasted)
        if self.level is not Level.NONE:
            bucket = self._full if self.level is Level.FULL else self._cheap
            bucket.pay(own * self.correction, free=self._free)

    @property
    def correction(self) -> float:
        """How many times our own clock's reading a full sample costs."""
        sampled, plain = self._durations[Level.FULL], self._durations[Level.NONE]
        if len(sampled) < PAIRS or len(plain) < PAIRS or not median(self._owns):
            return CORRECTION
        ratio = (median(sampled) - median(plain)) / median(self._owns)
        return min(max(ratio, 1.0), CORRECTION_MOST)
