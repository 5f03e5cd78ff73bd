"""How rules read what was measured over steps: early, late, and the loss as a whole."""

import math
from statistics import median

from torchdx.record.model import Record, Series

EARLY = 3  # samples that stand for the beginning
LATE = 0.25  # of the samples stand for the end
LEAST = 8  # samples below which nothing is said of a course


def early(series: Series) -> float | None:
    """The median of the first samples; None when there are none."""
    return median(value for _, value in series[:EARLY]) if series else None


def late(series: Series, least: int = LEAST) -> float | None:
    """The median of the last quarter of the samples; None where there are too few."""
    if len(series) < least:
        return None
    last = series[-max(EARLY, round(len(series) * LATE)) :]
    return median(value for _, value in last)


def finite_losses(record: Record) -> list[float]:
    """The losses until the first that is not finite."""
    losses = []
    for _, loss in record.losses:
        if not math.isfinite(loss):
            break
        losses.append(loss)
    return losses


def fallen(record: Record) -> float | None:
    """The loss at the end over that at the beginning; None where little was seen.

    At or below zero a ratio says nothing, and None is returned.
    """
    losses = finite_losses(record)
    if len(losses) < 2 * LEAST:
        return None
    first, last = median(losses[:EARLY]), median(losses[-len(losses) // 4 :])
    return last / first if first > 0 and last > 0 else None
