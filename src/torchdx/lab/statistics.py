"""Intervals of effects, and the word for each claim.

The effect of a claim is the mean over seeds of its statistic. Its uncertainty is that of a
bootstrap with two levels: seeds are drawn again, and inside each the items, all arms of an item
together. Where all seeds share their items, one drawing of items holds for all of them. The
interval is the mean +- Student's t for the number of seeds times the bootstrap's standard
deviation, widened by sqrt(n / (n - 1)): percentiles of a bootstrap are far too narrow for a handful
of seeds (Hesterberg 2015, What teachers should know about the bootstrap, Am. Stat. 69).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.random import Generator

from torchdx.errors import CallError
from torchdx.lab.rows import Column, Rows
from torchdx.lab.study import Claim

Word = Literal["reproduced", "not reproduced", "inconclusive"]

LEVEL = 0.95
LEAST = 5  # seeds below which nothing is said, as in trials
DRAWS = 1_000  # of items; seeds alone need none


@dataclass(frozen=True)
class Interval:
    """Where an effect lies at 95 %; infinite where the seeds do not allow a limit."""

    mean: float
    low: float
    high: float
    seeds: int


@dataclass(frozen=True)
class Judged:
    """A claim, and how it fared.

    lost  seeds that gave no number for it
    """

    claim: Claim
    effect: Interval
    word: Word
    because: str
    lost: int


def judge(claim: Claim, rows: Rows) -> Judged:
    """The verdict on a claim from the rows of all its seeds.

    Raises:
        CallError: its statistic cannot be taken of them.
    """
    by_seed = _split(rows, claim.seeds)
    values = [_value(claim, part) for part in by_seed]
    good = [math.isfinite(value) for value in values]
    kept = [part for part, fine in zip(by_seed, good, strict=True) if fine]
    effect = interval(claim, kept)
    word, because = verdict(claim, effect)
    return Judged(claim, effect, word, because, lost=good.count(False))


def interval(claim: Claim, by_seed: Sequence[Rows]) -> Interval:
    """Of the effect of a claim; `by_seed`: rows of one seed each."""
    n = len(by_seed)
    values = np.array([claim.statistic(part) for part in by_seed])
    if n == 0:
        return Interval(math.nan, -math.inf, math.inf, 0)
    mean = float(values.mean())
    if n == 1:
        return Interval(mean, -math.inf, math.inf, 1)
    deviation = _deviation_over_items(claim, by_seed) if claim.items else _of_means(values)
    reach = _student(n - 1) * math.sqrt(n / (n - 1)) * deviation
    return Interval(mean, mean - reach, mean + reach, n)


def verdict(claim: Claim, effect: Interval) -> tuple[Word, str]:
    """One word, and why."""
    if effect.seeds < LEAST:
        return "inconclusive", f"{effect.seeds} seeds, {LEAST} are needed"
    low, high = effect.low - claim.target, effect.high - claim.target
    if claim.direction == "below":
        low, high = -high, -low
    judged = _equal if claim.direction == "equal" else _beyond
    return judged(low, high, claim.delta)


def _equal(low: float, high: float, delta: float) -> tuple[Word, str]:
    if -delta <= low and high <= delta:
        return "reproduced", "the interval lies within what counts as equal"
    if low > delta or high < -delta:
        return "not reproduced", "the interval lies outside of what counts as equal"
    return "inconclusive", "the interval is cut by the edge of what counts as equal"


def _beyond(low: float, high: float, delta: float) -> tuple[Word, str]:
    if low > delta:
        return "reproduced", "the whole interval is beyond the smallest effect that counts"
    if high < 0:
        return "not reproduced", "the whole interval lies on the other side"
    if -delta <= low and high <= delta:
        return "not reproduced", "the whole interval is smaller than what counts"
    return "inconclusive", "the interval holds both effects that count and effects that do not"


def _value(claim: Claim, part: Rows) -> float:
    try:
        return float(claim.statistic(part))
    except (LookupError, ValueError, TypeError, ArithmeticError) as error:
        msg = (
            f"the statistic of the claim {claim.name!r} cannot be taken of the rows of one seed: "
            f"{type(error).__name__}: {error}. Their columns are {', '.join(part.columns)}."
        )
        raise CallError(msg) from error


def _split(rows: Rows, column: str) -> list[Rows]:
    if column not in rows:
        return []
    return [rows.where(**{column: value}) for value in rows.distinct(column)]


def _of_means(values: Column) -> float:
    """What a bootstrap of the mean comes to with infinitely many drawings."""
    return float(values.std()) / math.sqrt(len(values))


def _deviation_over_items(claim: Claim, by_seed: Sequence[Rows]) -> float:
    draw = np.random.default_rng(0)
    groups = [_places(part[claim.items]) for part in by_seed]
    shared = all(group.keys() == groups[0].keys() for group in groups)
    means = []
    for _ in range(DRAWS):
        seeds = draw.integers(len(by_seed), size=len(by_seed))
        items = _drawn(list(groups[0]), draw) if shared else None
        found = [
            claim.statistic(by_seed[s].take(_at(groups[s], items or _drawn([*groups[s]], draw))))
            for s in seeds
        ]
        means.append(np.mean(found))
    finite = np.array(means)[np.isfinite(means)]
    return float(finite.std()) if len(finite) > 1 else math.inf


def _places(column: Column) -> dict[Any, Column]:
    """Item -> where its rows are."""
    values = column.tolist()
    found: dict[Any, list[int]] = {}
    for place, item in enumerate(values):
        found.setdefault(item, []).append(place)
    return {item: np.array(found[item]) for item in sorted(found)}


def _drawn(items: list[Any], draw: Generator) -> list[Any]:
    return [items[i] for i in draw.integers(len(items), size=len(items))]


def _at(group: dict[Any, Column], items: list[Any]) -> Column:
    return np.concatenate([group[item] for item in items])


def _student(freedom: int) -> float:
    """The quantile of Student's t that leaves half of 1 - LEVEL above it."""
    from scipy.special import stdtrit  # type: ignore[import-untyped]  # noqa: PLC0415  # slow

    return float(stdtrit(freedom, (1 + LEVEL) / 2))
