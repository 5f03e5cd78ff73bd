"""Tidy rows, kept by column: what a study yields and what a claim's statistic is made of."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Value = float | int | str | bool | None
Row = Mapping[str, Value]
Column = NDArray[Any]


class Rows:
    """A table: numbers as numbers (what is missing is NaN), words as words (missing: empty).

    >>> rows = Rows.of([{"arm": "sum", "loss": 2.0}, {"arm": "mean", "loss": 1.0}])
    >>> rows.mean("loss", arm="sum") - rows.mean("loss", arm="mean")
    1.0
    """

    def __init__(self, columns: Mapping[str, Column]) -> None:
        self.columns = dict(columns)

    @classmethod
    def of(cls, rows: Iterable[Row]) -> "Rows":
        """From rows as a study yields them; a column that a row lacks is missing there."""
        listed = list(rows)
        names = dict.fromkeys(name for row in listed for name in row)
        return cls({name: _column([row.get(name) for row in listed]) for name in names})

    @classmethod
    def joined(cls, parts: Iterable["Rows"]) -> "Rows":
        """Several tables, one below the other."""
        return cls.of(row for part in parts for row in part)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def __iter__(self) -> Iterator[dict[str, Value]]:
        lists = [column.tolist() for column in self.columns.values()]
        return (dict(zip(self.columns, row, strict=True)) for row in zip(*lists, strict=True))

    def __getitem__(self, name: str) -> Column:
        return self.columns[name]

    def __contains__(self, name: str) -> bool:
        return name in self.columns

    def where(self, **equal: Value) -> "Rows":
        """The rows whose columns have these values."""
        if not equal:
            return self
        chosen = np.ones(len(self), dtype=bool)
        for name, value in equal.items():
            chosen &= self.columns[name] == value
        return self.take(chosen)

    def take(self, chosen: Column) -> "Rows":
        """The rows at these places, or where this is true."""
        return Rows({name: column[chosen] for name, column in self.columns.items()})

    def distinct(self, name: str) -> list[Any]:
        """The values of a column, each once, in the order in which they come."""
        return list(dict.fromkeys(self.columns[name].tolist()))

    def mean(self, name: str, **equal: Value) -> float:
        """The mean of a column over the rows that have these values; NaN where there are none."""
        found = self.where(**equal)[name]
        return float(found.mean()) if len(found) else float("nan")


def _column(values: list[Value]) -> Column:
    known = [value for value in values if value is not None]
    if known and all(isinstance(value, bool) for value in known) and len(known) == len(values):
        return np.array(values, dtype=bool)
    if all(isinstance(value, int | float) for value in known):
        whole = len(known) == len(values) and all(isinstance(value, int) for value in known)
        if whole:
            return np.array(values, dtype=np.int64)
        return np.array([np.nan if v is None else v for v in values], dtype=np.float64)
    return np.array(["" if value is None else str(value) for value in values], dtype=object)
