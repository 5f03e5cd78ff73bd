"""Rows of many seeds as few: the middle one of each group, and how far seeds reach."""

import math
from collections import defaultdict
from collections.abc import Sequence
from statistics import median

from torchdx.lab.rows import Rows, Value


def grouped(rows: Rows, by: Sequence[str], value: str) -> list[dict[str, Value]]:
    """One row a group, in the order in which groups come: the median, `low` and `high` of a column.

    Values that are not finite are left out, and so are groups that have no other.

    grouped(rows, ["arm", "lr"], "loss")
    """
    found = defaultdict[tuple[Value, ...], list[float]](list)
    for row in rows:
        number = row[value]
        if isinstance(number, int | float) and math.isfinite(number):
            found[tuple(row[name] for name in by)].append(float(number))
    return [
        dict(zip(by, key, strict=True)) | _middle(value, numbers) for key, numbers in found.items()
    ]


def _middle(value: str, numbers: Sequence[float]) -> dict[str, Value]:
    return {value: median(numbers), "low": min(numbers), "high": max(numbers)}
