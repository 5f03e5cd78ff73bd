"""Numbers as the view holds them: few digits, and what is not finite by name."""

import math
from collections.abc import Sequence

DIGITS = 4
NOT_FINITE = "not finite"  # a value that JSON has no number for

Number = float | str | None  # None: not measured


def short(value: float | None, digits: int = DIGITS) -> Number:
    """A number with few digits; `NOT_FINITE` for NaN and infinities; None stays None."""
    if value is None:
        return None
    if not math.isfinite(value):
        return NOT_FINITE
    rounded = float(f"{value:.{digits}g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 10**DIGITS else rounded


def evenly(count: int, most: int) -> list[int]:
    """At most `most` positions out of `count`, evenly spread, both ends among them."""
    if count <= most:
        return list(range(count))
    return sorted({round(i * (count - 1) / (most - 1)) for i in range(most)})


def outline(values: Sequence[tuple[int, float]], most: int) -> list[tuple[int, float]]:
    """A long series in at most `most` points: the lowest and the highest of even stretches.

    A value that is not finite is kept before any other of its stretch.
    """
    if len(values) <= most:
        return list(values)
    stretches = max(1, most // 2)
    kept: set[int] = set()
    for i in range(stretches):
        inside = range(i * len(values) // stretches, (i + 1) * len(values) // stretches)
        bad = next((k for k in inside if not math.isfinite(values[k][1])), None)
        if bad is not None:
            kept.add(bad)
            continue
        kept |= {min(inside, key=lambda k: values[k][1]), max(inside, key=lambda k: values[k][1])}
    return [values[k] for k in sorted(kept | {0, len(values) - 1})]
